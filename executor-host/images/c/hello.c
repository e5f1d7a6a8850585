#include <math.h>
#include <stdio.h>

int main(int argc, char **) {
    if (sqrt(argc) > 0) puts("Hello from C");
}
