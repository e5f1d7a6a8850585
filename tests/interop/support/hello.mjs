// A small program in every language that a deployment offers. Each reads a line of its input and
// one argument and writes both, so that what it wrote shows that both arrived.

export const INPUT = 'Ada & Bob'

/** What the program of `name` writes. */
export const greeting = (name, argument) => `${name} greets ${INPUT}: ${argument}\n`

/** Programs by the language's id, in the order in which they are shown. */
export const PROGRAMS = {
  javascript: {
    name: 'JavaScript',
    source: `const input = require("node:fs").readFileSync(0, "utf8").trim();
console.log(\`JavaScript greets \${input}: \${process.argv[2]}\`);
`
  },
  python: {
    name: 'Python',
    source: `import sys

print(f"Python greets {input()}: {sys.argv[1]}")
`
  },
  java: {
    name: 'Java',
    source: `import java.util.Scanner;

public class Main {
    public static void main(String[] args) {
        String input = new Scanner(System.in).nextLine();
        System.out.println("Java greets " + input + ": " + args[0]);
    }
}
`
  },
  cpp: {
    name: 'C++',
    source: `#include <iostream>
#include <string>

int main(int, char **argv) {
    std::string input;
    std::getline(std::cin, input);
    std::cout << "C++ greets " << input << ": " << argv[1] << std::endl;
}
`
  },
  c: {
    name: 'C',
    source: `#include <stdio.h>

int main(int argc, char **argv) {
    char input[64];
    if (argc < 2 || scanf("%63[^\\n]", input) != 1) return 1;
    printf("C greets %s: %s\\n", input, argv[1]);
    return 0;
}
`
  },
  go: {
    name: 'Go',
    source: `package main

import (
	"bufio"
	"fmt"
	"os"
)

func main() {
	input := bufio.NewScanner(os.Stdin)
	input.Scan()
	fmt.Printf("Go greets %s: %s\\n", input.Text(), os.Args[1])
}
`
  },
  rust: {
    name: 'Rust',
    source: `use std::{env, io};

fn main() {
    let mut input = String::new();
    io::stdin().read_line(&mut input).expect("a line");
    let argument = env::args().nth(1).expect("an argument");
    println!("Rust greets {}: {argument}", input.trim());
}
`
  }
}
