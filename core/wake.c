/* A descriptor that another thread makes readable. */
#include "wake.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif

int32_t wake_open(wake *signal) {
#ifdef __linux__
  signal->read_fd = signal->write_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return signal->read_fd < 0 ? SHEEP_E_SYSTEM : SHEEP_OK;
#else
  int ends[2];
  if (pipe(ends)) return SHEEP_E_SYSTEM;
  for (int i = 0; i < 2; i++) {
    fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    fcntl(ends[i], F_SETFL, O_NONBLOCK);
  }
  *signal = (wake){.read_fd = ends[0], .write_fd = ends[1]};
  return SHEEP_OK;
#endif
}

void wake_signal(const wake *signal) {
  const uint64_t one = 1;
  /* A full counter or pipe is already readable, so only a signal is retried. */
  while (write(signal->write_fd, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void wake_clear(const wake *signal) {
  uint64_t count;
  while (read(signal->read_fd, &count, sizeof count) > 0) {
    if (signal->read_fd == signal->write_fd) break;
  }
}

void wake_reopen(wake *signal) {
  wake fresh;
  if (wake_open(&fresh)) return;
  dup2(fresh.read_fd, signal->read_fd);
  fcntl(signal->read_fd, F_SETFD, FD_CLOEXEC);
  if (signal->write_fd != signal->read_fd) {
    dup2(fresh.write_fd, signal->write_fd);
    fcntl(signal->write_fd, F_SETFD, FD_CLOEXEC);
  }
  wake_close(&fresh);
}

void wake_close(wake *signal) {
  close(signal->read_fd);
  if (signal->write_fd != signal->read_fd) close(signal->write_fd);
}
