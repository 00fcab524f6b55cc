import Glibc

/// The system's text for an errno.
func systemText(_ code: Int32) -> String { String(cString: strerror(code)) }
