import Glibc

/// Seconds since 1970 by the system's clock.
public func wallClock() -> Int64 { Int64(time(nil)) }
