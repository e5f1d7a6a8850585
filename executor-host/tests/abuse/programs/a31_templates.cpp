// Every level makes two new types of the level below.
template <int depth, long path> struct Tree {
    static constexpr long value =
        Tree<depth - 1, path * 2>::value + Tree<depth - 1, path * 2 + 1>::value;
};

template <long path> struct Tree<0, path> {
    static constexpr long value = path;
};

int main() { return static_cast<int>(Tree<40, 1>::value); }
