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
  typescript: `import { readFileSync } from "node:fs";

const name: string = readFileSync(0, "utf8").trim() || "world";
console.log(\`Hello, \${name}!\`);
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
`,
  csharp: `using System;

class Program
{
    static void Main()
    {
        string name = Console.ReadLine();
        if (string.IsNullOrEmpty(name)) name = "world";
        Console.WriteLine($"Hello, {name}!");
    }
}
`,
  kotlin: `fun main() {
    val name = readlnOrNull()?.takeIf { it.isNotBlank() } ?: "world"
    println("Hello, $name!")
}
`,
  php: `<?php

$name = trim(fgets(STDIN) ?: '') ?: 'world';
echo "Hello, $name!\\n";
`,
  ruby: `name = gets.to_s.strip
name = "world" if name.empty?
puts "Hello, #{name}!"
`,
  bash: `read -r name
echo "Hello, \${name:-world}!"
`,
  lua: `local name = io.read("l")
if not name or name == "" then name = "world" end
print("Hello, " .. name .. "!")
`,
  perl: `use v5.40;

chomp(my $name = <STDIN> // "");
say "Hello, ", $name || "world", "!";
`,
  r: `name <- readLines(file("stdin"), n = 1)
if (length(name) == 0) name <- "world"
cat("Hello, ", name, "!\\n", sep = "")
`,
  sql: `CREATE TABLE input (name);
.import "|cat" input
SELECT 'Hello, ' || coalesce((SELECT name FROM input LIMIT 1), 'world') || '!';
`,
  'python-data': `import sys
import pandas as pd

name = sys.stdin.readline().strip() or "world"
print(f"Hello, {name}!")
print(pd.Series(list(name)).value_counts().to_string())
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
