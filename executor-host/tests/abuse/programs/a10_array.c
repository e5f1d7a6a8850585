static char array[16L << 30];

int main(void) {
    for (long place = 0; place < (long)sizeof array; place += 4096) array[place] = 1;
    return array[12345];
}
