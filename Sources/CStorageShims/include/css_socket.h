#pragma once
// The few calls around sockets and threads that Swift's Glibc module lacks. Return -errno on failure.

#pragma clang assume_nonnull begin

/// A non-blocking eventfd.
int css_event_new(void);

/// Makes an eventfd readable; it stays so.
void css_event_signal(int event);

/// accept4 of a non-blocking socket that children do not inherit.
int css_accept(int listener);

/// Names the calling thread, at most 15 bytes.
void css_thread_set_name(const char *name);

#pragma clang assume_nonnull end
