#include <signal.h>
#include <sys/time.h>
#include <time.h>

static void nothing(int number) { (void)number; }

int main(void) {
    struct itimerval soon = {{0, 1}, {0, 1}};
    int kinds[] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF};
    int numbers[] = {SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU};
    for (int each = 0; each < 4; each++) signal(numbers[each], nothing);
    for (int each = 0; each < 3; each++) setitimer(kinds[each], &soon, NULL);
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++) {
        struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = number};
        struct itimerspec often = {{0, 10000}, {0, 10000}};
        timer_t timer;
        signal(number, nothing);
        if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0) timer_settime(timer, 0, &often, NULL);
    }
    for (volatile int on = 1; on;) {}
}
