#include <pthread.h>
#include <stddef.h>

static void *burn(void *unused) {
    for (volatile int on = 1; on;) {}
    return unused;
}

int main(void) {
    pthread_t thread;
    for (int started = 0; started < 7; started++) pthread_create(&thread, NULL, burn, NULL);
    burn(NULL);
}
