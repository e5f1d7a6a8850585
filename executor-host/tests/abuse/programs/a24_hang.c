#include <stdio.h>
#include <unistd.h>

int main(void) {
    puts("flushed");
    fflush(stdout);
    puts("not flushed");
    for (;;) pause();
}
