static volatile int depth;

static int descend(int level) {
    volatile char frame[1024] = {0};
    frame[0] = (char)level;
    depth = level;
    return descend(level + 1) + frame[0];
}

int main(void) { return descend(0); }
