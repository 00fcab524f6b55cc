#define _GNU_SOURCE
#include "css_socket.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

int css_event_new(void) {
  int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return event < 0 ? -errno : event;
}

void css_event_signal(int event) { (void)eventfd_write(event, 1); }

int css_accept(int listener) {
  int accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  return accepted < 0 ? -errno : accepted;
}

void css_thread_set_name(const char *name) { (void)pthread_setname_np(pthread_self(), name); }
