// A first program for each language, for an empty document. Each reads a name from its input and
// greets, so that input, output and the language's main file are seen to work at once.

const STARTERS = {
  python: `import sys

name = sys.stdin.readline().strip() or "world"
print(f"Hello, {name}!")
`,
  javascript: `const name = require("node:fs").readFileSync(0, "utf8").trim() || "world";
console.log(\`Hello, \${name}!\`);
`,
  typescript: `const who: string = "world";
console.log(\`Hello, \${who}!\`);
`,
  java: `import java.util.Scanner;

public class Main {
    public static void main(String[] args) {
        Scanner input = new Scanner(System.in);
        String name = input.hasNextLine() ? input.nextLine() : "world";
        System.out.println("Hello, " + name + "!");
    }
}
`,
  c: `#include <stdio.h>

int main(void) {
    char name[64];
    if (scanf("%63s", name) != 1) {
        puts("Hello, world!");
        return 0;
    }
    printf("Hello, %s!\\n", name);
    return 0;
}
`,
  cpp: `#include <iostream>
#include <string>

int main() {
    std::string name;
    if (!std::getline(std::cin, name)) name = "world";
    std::cout << "Hello, " << name << "!\\n";
}
`,
  go: `package main

import (
	"bufio"
	"fmt"
	"os"
)

func main() {
	name := "world"
	input := bufio.NewScanner(os.Stdin)
	if input.Scan() {
		name = input.Text()
	}
	fmt.Printf("Hello, %s!\\n", name)
}
`,
  rust: `use std::io;

fn main() {
    let mut line = String::new();
    io::stdin().read_line(&mut line).expect("input is readable");
    let name = match line.trim() {
        "" => "world",
        name => name,
    };
    println!("Hello, {name}!");
}
`
}

/** @param {string} language @returns {string | null} */
export const starterOf = (language) => STARTERS[language] ?? null

/**
 * Whether a starter may be offered: the document is empty, or it is the untouched starter of
 * another language.
 */
export function offersStarter (language, text) {
  const starter = starterOf(language)
  if (starter === null || text === starter) return false
  return text.trim() === '' || Object.values(STARTERS).includes(text)
}
