/* top.c - `rialto top`: the instance alive in a terminal.
 *
 * Terminal   the alternate screen, no echo, no waiting for lines; all of it is given back however we end, but for SIGKILL. A window of
 *            another size is drawn anew at once. Plain ANSI sequences, as every terminal since the VT100 knows them: the frame is rows of
 *            text from the top, and a library for that would be larger than this file.
 * Else       one frame as text: into a file, a pipe, or with --once. */
#include "cli/top.h"

#include "service/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define ENTER "\033[?1049h\033[?25l\033[2J" /* the other screen, no cursor, empty */
#define LEAVE "\033[?25h\033[?1049l"

enum { OWN_ONCE = CLI_OWN, OWN_INTERVAL };

struct options {
    bool once;
    double seconds; /* from one look to the next */
};

static bool take(void *user, int option, const char *argument)
{
    struct options *options = user;
    if (option == OWN_ONCE)
        options->once = true;
    return option == OWN_ONCE ||
           (option == OWN_INTERVAL && cli_number("--interval", argument, 0.1, 3600, &options->seconds));
}

static struct top_sample samples[2];
static struct top_frame frame;

/* ---- text ----------------------------------------------------------------------------------------------------------- */

static int one_frame(const struct cli *cli, const struct options *options)
{
    int64_t ms = (int64_t)(options->seconds * 1000);
    top_look(cli, &samples[0]);
    if (samples[0].tables)
        nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
    top_look(cli, &samples[1]);
    top_draw(cli->config.instance, &samples[0], &samples[1], &frame);
    for (uint32_t i = 0; i < frame.count; i++)
        printf("%s\n", frame.row[i]);
    return samples[1].tables && !samples[1].retired ? CLI_OK : CLI_UNREACHABLE;
}

/* ---- terminal --------------------------------------------------------------------------------------------------------- */

static struct termios before_us;
static FILE *
    screen; /* standard output past the escaping of cli/plain.c: what stands in rows is printable already (top_look.c) */
static volatile sig_atomic_t resized;

static void on_resize(int number)
{
    (void)number;
    resized = 1;
}

static bool terminal_enter(void)
{
    if (tcgetattr(STDIN_FILENO, &before_us) == -1)
        return false;
    struct termios ours = before_us;
    ours.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    ours.c_cc[VMIN] = 0;
    ours.c_cc[VTIME] = 0;
    ours.c_cc[VSUSP] = _POSIX_VDISABLE; /* stopped, we would leave the terminal as it is */
    struct sigaction action = { .sa_handler = on_resize };
    sigemptyset(&action.sa_mask);
    sigaction(SIGWINCH, &action, NULL);
    int fd = dup(STDOUT_FILENO);
    screen = fd == -1 ? NULL : fdopen(fd, "w");
    if (screen == NULL || tcsetattr(STDIN_FILENO, TCSANOW, &ours) == -1)
        return false;
    (void)setvbuf(screen, NULL, _IOFBF, BUFSIZ);
    fputs(ENTER, screen);
    return true;
}

static void terminal_leave(void)
{
    fputs(LEAVE, screen);
    fclose(screen);
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before_us);
}

static void put_row(uint32_t at, uint32_t columns, bool strong, const char *text)
{
    fprintf(screen, "\033[%u;1H%s%.*s%s\033[K", at, strong ? "\033[1m" : "", (int)columns, text,
            strong ? "\033[0m" : "");
}

/* As much as the window holds. The last row says how to leave, and how much is missing. */
static void show(void)
{
    struct winsize size = { .ws_row = 24, .ws_col = 80 };
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == -1 || size.ws_row < 2 || size.ws_col < 2)
        size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
    char foot[TOP_COLUMNS_MAX] = "q: quit";
    uint32_t rows = size.ws_row - 1u, count = frame.count < rows ? frame.count : rows;
    if (frame.count > count)
        (void)snprintf(foot, sizeof foot, "q: quit; %u more rows in a higher window", frame.count - count);
    for (uint32_t i = 0; i < count; i++)
        put_row(i + 1, size.ws_col, i == 0, frame.row[i]);
    fprintf(screen, "\033[J"); /* below the last */
    put_row(rows + 1, size.ws_col - 1u, false, foot);
    fflush(screen);
}

/* Until the next look, a key, or another size. False: to leave. */
static bool wait_for_user(int64_t until_ms)
{
    for (int64_t left; (left = until_ms - mono_ms()) > 0 && !cli_stop;) {
        struct pollfd wait = { .fd = STDIN_FILENO, .events = POLLIN };
        int ready = poll(&wait, 1, (int)left);
        if (resized) {
            resized = 0;
            fprintf(screen, "\033[2J");
            show();
        }
        if (ready <= 0)
            continue;
        char key;
        ssize_t got = read(STDIN_FILENO, &key, 1);
        if ((got == 1 && (key == 'q' || key == 'Q')) || (got == 0 && (wait.revents & POLLHUP) != 0) ||
            (got == -1 && errno != EINTR && errno != EAGAIN))
            return false;
    }
    return !cli_stop;
}

static int live(const struct cli *cli, const struct options *options)
{
    uint32_t now = 0;
    if (!terminal_enter()) {
        cli_say("the terminal cannot be set up: %s", strerror(errno));
        return CLI_NO;
    }
    do {
        now = 1 - now;
        top_look(cli, &samples[now]);
        top_draw(cli->config.instance, &samples[1 - now], &samples[now], &frame);
        show();
    } while (!ferror(screen) && wait_for_user(samples[now].at_ms + (int64_t)(options->seconds * 1000)));
    terminal_leave();
    return CLI_OK;
}

static int run(struct cli *cli, int argc, char *argv[])
{
    static const struct option own[] = { { "once", no_argument, NULL, OWN_ONCE },
                                         { "interval", required_argument, NULL, OWN_INTERVAL },
                                         { 0 } };
    struct options options = { .seconds = 1 };
    int status = cli_parse(cli, argc, argv, own, take, &options);
    if (status != CLI_OK || cli->help)
        return status;
    if (optind < argc || cli->json) {
        cli_say(cli->json ? "top is for people: rialto status --json and /metrics are for programs"
                          : "top takes no operands");
        return CLI_USAGE;
    }
    cli_catch_signals();
    bool terminal = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
    return options.once || !terminal ? one_frame(cli, &options) : live(cli, &options);
}

const struct cli_command cli_top = {
    .name = "top",
    .usage = "top [OPTIONS]",
    .summary = "the instance alive in a terminal",
    .help = "Workers and their heartbeats, Redis, signals by kind, prices, quotes, latencies, memory: looked at once a "
            "second,\n"
            "in shared memory alone, so that the service does not notice. Numbers in parentheses are totals since the "
            "service\n"
            "began. A window of 80 x 24 is enough; q or Ctrl-C leaves. Into a file or a pipe it writes one frame.\n"
            "\n"
            "  --once            one frame as text, and the end; exit status 3 if the service does not run\n"
            "  --interval S      seconds from one look to the next, 0.1 to 3600; default 1\n"
            "\n"
            "  rialto top\n"
            "  rialto top --interval 0.2 --set instance=shop2\n"
            "  rialto top --once | grep '^signals'\n",
    .run = run,
};
