#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static int visible(const struct dirent *entry) {
    return entry->d_name[0] != '.' || (entry->d_name[1] && entry->d_name[1] != '.');
}

static int process(const struct dirent *entry) { return isdigit(entry->d_name[0]) != 0; }

int main(void) {
    const char *places[] = {"/work", "/tmp", "/dev/shm", "/dev/mqueue"};
    struct dirent **entries;
    for (int place = 0; place < 4; place++) {
        int count = scandir(places[place], &entries, visible, alphasort);
        printf("%s:", places[place]);
        if (count <= 0) putchar(' ');
        for (int entry = 0; entry < count; entry++) printf(" %s", entries[entry]->d_name);
        putchar('\n');
    }
    printf("/proc: %d\n", scandir("/proc", &entries, process, alphasort));
    return 0;
}
