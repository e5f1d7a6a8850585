#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

enum { KEY = 4711, BYTES = 8 << 20 };

int main(void) {
    int found = shmget(KEY, 0, 0) >= 0;
    found += msgget(KEY, 0) >= 0;
    found += semget(KEY, 0, 0) >= 0;
    found += shm_open("/left", O_RDWR, 0) >= 0;
    found += mq_open("/left", O_RDWR) >= 0;
    printf("found %d\n", found);

    int segment = shmget(KEY, BYTES, IPC_CREAT | 0666);
    int made = segment >= 0;
    if (made) memset(shmat(segment, NULL, 0), 1, BYTES);
    made += msgget(KEY, IPC_CREAT | 0666) >= 0;
    made += semget(KEY, 4, IPC_CREAT | 0666) >= 0;
    int file = shm_open("/left", O_CREAT | O_RDWR, 0666);
    made += file >= 0 && ftruncate(file, BYTES) == 0;
    made += mq_open("/left", O_CREAT | O_RDWR, 0666, NULL) >= 0;
    printf("made %d\n", made);
    return 0;
}
