#include <print>

int main() {
    std::println("Hello from C++");
}
