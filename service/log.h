/* log.h - one line per event on standard error: time, level, process, a stable id, then key=value pairs.
 *
 *   2026-01-31T10:00:00.000Z info gateway LISTENING url=tcp://127.0.0.1:7411
 *   {"time":"2026-01-31T10:00:00.000Z","level":"info","process":"gateway","event":"LISTENING","text":"url=tcp://127.0.0.1:7411"}
 *
 * Never a customer id. Thread-safe (one write(2) per line). Library folders (pricing, cache) stay silent and return. */
#ifndef SERVICE_LOG_H
#define SERVICE_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

/* log_setup - who speaks ("gateway", "worker.2"), from which level on, and as "text" or "json". */
void log_setup(const char *speaker, const char *level, const char *format);

__attribute__((format(printf, 3, 4))) void log_line(enum log_level level, const char *id, const char *format, ...);
#endif
