#pragma once
// How libssl's error queue becomes a value. Private to this target.
#include "css_pki.h"

/// Forgets earlier errors, so that what is found later belongs to the step that follows.
void css_error_begin(void);

/// Drains the error queue of this thread into `error`; `what` stands when the queue says nothing.
void css_error_take(css_tls_error *error, const char *what);

/// An error of the system, named by errno.
void css_error_system(css_tls_error *error, const char *what, int code);
