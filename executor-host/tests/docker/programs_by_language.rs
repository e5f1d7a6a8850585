//! The programs that [`crate::languages`] tries, language by language.

use crate::scripts_by_language::{BASH, LUA, PERL, PHP, PYTHON_DATA, R, RUBY, SQL, TYPESCRIPT};

/// Programs of one language; each is a whole main file.
pub struct Language {
    pub id: &'static str,
    /// What its version contains.
    pub version: &'static str,
    /// Prints `Hello`.
    pub hello: &'static str,
    /// Copies standard input, then prints the arguments in brackets, with `|` between.
    pub echo: &'static str,
    /// Prints 42 with the help of these further files.
    pub files: (&'static str, &'static [(&'static str, &'static str)]),
    /// Is wrong; what is said about it on standard error, and at which stage.
    pub mistake: (&'static str, &'static [&'static str], Mistake),
    /// Exits with code 7.
    pub exit_7: &'static str,
    /// Breaks; with this exit code or signal, and these words on standard error.
    pub crash: (
        &'static str,
        Option<i32>,
        Option<&'static str>,
        &'static str,
    ),
    /// Computes for ever.
    pub spin: &'static str,
    /// Each takes ever more memory.
    pub hoards: &'static [&'static str],
    /// Makes and drops some 200 MB in all, a megabyte alive at a time, and prints `done`.
    pub churn: &'static str,
    /// Prints `line 1` to `line 5000`.
    pub lines_5000: &'static str,
}

/// When a mistake in the source is found.
#[derive(Clone, Copy)]
pub enum Mistake {
    Compiled,
    Run,
}

pub const LANGUAGES: &[Language] = &[
    JAVASCRIPT,
    PYTHON,
    JAVA,
    CPP,
    C,
    GO,
    RUST,
    TYPESCRIPT,
    PHP,
    RUBY,
    BASH,
    LUA,
    PERL,
    SQL,
    PYTHON_DATA,
    CSHARP,
    KOTLIN,
    R,
];

const JAVASCRIPT: Language = Language {
    id: "javascript",
    version: "Node.js v26.",
    hello: "console.log('Hello')",
    // The syntax of modules, with no package.json that says so.
    echo: "
import { readFileSync } from 'node:fs'
process.stdout.write(readFileSync(0, 'utf8'))
console.log(`[${process.argv.slice(2).join('|')}]`)
",
    files: (
        "const { forty } = require('./lib/numbers'); console.log(forty + require('./two.json').two)",
        &[
            ("lib/numbers.js", "exports.forty = 40"),
            ("two.json", "{\"two\": 2}"),
        ],
    ),
    mistake: (
        "let x = ;",
        &["main.js:1", "SyntaxError: Unexpected token ';'"],
        Mistake::Run,
    ),
    exit_7: "process.exit(7)",
    crash: ("null.x", Some(1), None, "TypeError: Cannot read properties"),
    spin: "for (;;);",
    hoards: &[
        "const kept = []; for (;;) kept.push({ number: kept.length, text: 'x' + kept.length })",
        "const kept = []; for (;;) kept.push(Buffer.alloc(1 << 20, 1))",
    ],
    churn: "
let kept
for (let i = 0; i < 200; i++) kept = new Array(1 << 17).fill(i + 0.5)
console.log(kept.length ? 'done' : '')
",
    lines_5000: "for (let i = 1; i <= 5000; i++) console.log(`line ${i}`)",
};

const PYTHON: Language = Language {
    id: "python",
    version: "Python 3.13.",
    hello: "print('Hello')",
    echo: "
import sys
print(sys.stdin.read(), end='')
print('[' + '|'.join(sys.argv[1:]) + ']')
",
    files: (
        "import helper, lib.two; print(helper.FORTY + lib.two.TWO)",
        &[("helper.py", "FORTY = 40"), ("lib/two.py", "TWO = 2")],
    ),
    mistake: (
        "x = = 1",
        &["main.py\", line 1", "SyntaxError"],
        Mistake::Run,
    ),
    exit_7: "raise SystemExit(7)",
    crash: (
        "1 / 0",
        Some(1),
        None,
        "ZeroDivisionError: division by zero",
    ),
    spin: "while True: pass",
    hoards: &[
        "kept = []\nwhile True: kept.append(str(len(kept)))",
        "x = bytearray(1 << 30)",
        "x = bytearray(1 << 50)",
    ],
    churn: "for _ in range(200): x = bytes(1 << 20)\nprint('done')",
    lines_5000: "for i in range(1, 5001): print('line', i)",
};

const JAVA: Language = Language {
    id: "java",
    version: "openjdk 25.",
    // A class of any name, as people have them in their files.
    hello: "public class Solution {
    public static void main(String[] args) { System.out.println(\"Hello\"); }
}",
    echo: "void main(String[] args) throws Exception {
    System.in.transferTo(System.out);
    IO.println(\"[\" + String.join(\"|\", args) + \"]\");
}",
    files: (
        "import lib.Two;
class Helper { static int forty() { return Forty.VALUE; } }
public class Main {
    public static void main(String[] args) { System.out.println(Helper.forty() + Two.value()); }
}",
        &[
            ("Forty.java", "class Forty { static final int VALUE = 40; }"),
            (
                "lib/Two.java",
                "package lib; public record Two() { public static int value() { return 2; } }",
            ),
        ],
    ),
    mistake: (
        "public class Main { int x = y; }",
        &["Main.java:1: error: cannot find symbol", "1 error"],
        Mistake::Compiled,
    ),
    exit_7: "void main() { System.exit(7); }",
    crash: (
        "void main() { Object x = null; x.hashCode(); }",
        Some(1),
        None,
        "java.lang.NullPointerException",
    ),
    spin: "void main() { for (long i = 0; ; i++) if (i < 0) break; }",
    hoards: &[
        "void main() {
    var kept = new java.util.ArrayList<String>();
    for (;;) kept.add(\"x\" + kept.size());
}",
        "void main() { IO.println(new byte[1 << 30].length); }",
        "void main() {
    var kept = new java.util.ArrayList<java.nio.ByteBuffer>();
    for (;;) kept.add(java.nio.ByteBuffer.allocateDirect(1 << 20));
}",
    ],
    churn: "void main() {
    int sum = 0;
    for (int i = 0; i < 200; i++) sum += new byte[1 << 20].length >> 20;
    IO.println(sum == 200 ? \"done\" : sum);
}",
    lines_5000: "void main() { for (int i = 1; i <= 5000; i++) IO.println(\"line \" + i); }",
};

const CPP: Language = Language {
    id: "cpp",
    version: "g++ (Debian 14.",
    hello: "#include <print>\nint main() { std::println(\"Hello\"); }",
    echo: "#include <iostream>
int main(int argc, char **argv) {
    std::cout << std::cin.rdbuf() << '[';
    for (int i = 1; i < argc; i++) std::cout << (i > 1 ? \"|\" : \"\") << argv[i];
    std::cout << \"]\\n\";
}",
    files: (
        "#include \"numbers.hpp\"\n#include <iostream>
int main() { std::cout << forty() + two() << '\\n'; }",
        &[
            ("numbers.hpp", "int forty(); int two();"),
            ("forty.cpp", "int forty() { return 40; }"),
            ("lib/two.cc", "int two() { return 2; }"),
        ],
    ),
    mistake: (
        "int main() { return x; }",
        &["main.cpp:1:21: error:", "was not declared in this scope"],
        Mistake::Compiled,
    ),
    exit_7: "int main() { return 7; }",
    crash: (
        "#include <stdexcept>\nint main() { throw std::runtime_error(\"no way\"); }",
        None,
        Some("SIGABRT"),
        "no way",
    ),
    spin: "int main() { for (volatile int i = 0;; i = i + 1); }",
    hoards: &[
        "#include <string>\n#include <vector>
int main() { for (std::vector<std::string> v;;) v.emplace_back(1 << 20, 'x'); }",
        "#include <vector>\nint main() { std::vector<char> v(1ull << 50); return v[7]; }",
    ],
    churn: "#include <cstdio>\n#include <vector>
int main() {
    int sum = 0;
    for (int i = 0; i < 200; i++) sum += std::vector<char>(1 << 20, 1)[i];
    std::puts(sum == 200 ? \"done\" : \"\");
}",
    lines_5000: "#include <iostream>
int main() { for (int i = 1; i <= 5000; i++) std::cout << \"line \" << i << std::endl; }",
};

const C: Language = Language {
    id: "c",
    version: "gcc (Debian 14.",
    hello: "#include <stdio.h>\nint main() { puts(\"Hello\"); }",
    echo: "#include <stdio.h>
int main(int argc, char **argv) {
    for (int c; (c = getchar()) != EOF;) putchar(c);
    printf(\"[\");
    for (int i = 1; i < argc; i++) printf(\"%s%s\", i > 1 ? \"|\" : \"\", argv[i]);
    puts(\"]\");
}",
    files: (
        "#include \"lib/numbers.h\"\n#include <math.h>\n#include <stdio.h>
int main(int argc, char **) { printf(\"%d\\n\", forty() + (int)sqrt(argc * 4)); }",
        &[
            ("lib/numbers.h", "int forty(void);"),
            (
                "lib/numbers.c",
                "#include \"numbers.h\"\nint forty(void) { return 40; }",
            ),
        ],
    ),
    mistake: (
        "int main() { return x }",
        &["main.c:1:21: error:", "undeclared"],
        Mistake::Compiled,
    ),
    exit_7: "int main() { return 7; }",
    crash: (
        "int main() { int *volatile p = 0; return *p; }",
        None,
        Some("SIGSEGV"),
        "",
    ),
    spin: "int main() { for (volatile int i = 0;; i++); }",
    hoards: &["#include <stdlib.h>\n#include <string.h>
int main() { for (;;) memset(malloc(1 << 20), 1, 1 << 20); }"],
    churn: "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>
int main() {
    int sum = 0;
    for (int i = 0; i < 200; i++) {
        char *volatile block = malloc(1 << 20);
        memset(block, 1, 1 << 20);
        sum += block[i];
        free(block);
    }
    puts(sum == 200 ? \"done\" : \"\");
}",
    lines_5000: "#include <stdio.h>
int main() { for (int i = 1; i <= 5000; i++) printf(\"line %d\\n\", i); }",
};

const GO: Language = Language {
    id: "go",
    version: "go version go1.27",
    hello: "package main\nimport \"fmt\"\nfunc main() { fmt.Println(\"Hello\") }",
    echo: "package main
import (\"fmt\"; \"io\"; \"os\"; \"strings\")
func main() {
    io.Copy(os.Stdout, os.Stdin)
    fmt.Printf(\"[%s]\\n\", strings.Join(os.Args[1:], \"|\"))
}",
    files: (
        "package main\nimport (\"fmt\"; \"main/lib\")\nfunc main() { fmt.Println(forty + lib.Two()) }",
        &[
            ("forty.go", "package main\nconst forty = 40"),
            ("lib/two.go", "package lib\nfunc Two() int { return 2 }"),
        ],
    ),
    mistake: (
        "package main\nfunc main() { x := 1 }",
        &["./main.go:2:15: declared and not used: x"],
        Mistake::Compiled,
    ),
    exit_7: "package main\nimport \"os\"\nfunc main() { os.Exit(7) }",
    crash: (
        "package main\nfunc main() { var m map[string]int; m[\"x\"] = 1 }",
        Some(2),
        None,
        "panic: assignment to entry in nil map",
    ),
    spin: "package main\nfunc main() { for {} }",
    hoards: &["package main
func main() {
    var kept [][]byte
    for {
        block := make([]byte, 1<<20)
        for i := range block { block[i] = 1 }
        kept = append(kept, block)
    }
}"],
    churn: "package main
import \"fmt\"
func main() {
    sum := 0
    for range 200 {
        block := make([]byte, 1<<20)
        for i := range block { block[i] = 1 }
        sum += len(block) >> 20
    }
    if sum == 200 { fmt.Println(\"done\") }
}",
    lines_5000: "package main
import \"fmt\"
func main() { for i := range 5000 { fmt.Println(\"line\", i+1) } }",
};

const RUST: Language = Language {
    id: "rust",
    version: "rustc 1.96.",
    hello: "fn main() { println!(\"Hello\"); }",
    echo: "use std::io;
fn main() {
    io::copy(&mut io::stdin(), &mut io::stdout()).unwrap();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    println!(\"[{}]\", arguments.join(\"|\"));
}",
    files: (
        "mod numbers;\nmod lib { pub mod two; }
fn main() { println!(\"{}\", numbers::FORTY + lib::two::two()); }",
        &[
            ("numbers.rs", "pub const FORTY: i32 = 40;"),
            ("lib/two.rs", "pub fn two() -> i32 { 2 }"),
        ],
    ),
    mistake: (
        "fn main() { let x: i32 = \"1\"; }",
        &["error[E0308]: mismatched types", "--> main.rs:1:26"],
        Mistake::Compiled,
    ),
    exit_7: "fn main() { std::process::exit(7) }",
    crash: (
        "fn main() { let v: Vec<i32> = Vec::new(); println!(\"{}\", v[v.len()]); }",
        Some(101),
        None,
        "main.rs:1:59",
    ),
    spin: "fn main() { let mut x = 0_u64; loop { x = std::hint::black_box(x + 1); } }",
    hoards: &[
        "fn main() { let mut kept = Vec::new(); loop { kept.push(vec![1_u8; 1 << 20]); } }",
        "fn main() { println!(\"{}\", std::hint::black_box(Vec::<u8>::with_capacity(1 << 50)).capacity()); }",
    ],
    churn: "fn main() {
    let sum: u32 = (0..200).map(|i| u32::from(std::hint::black_box(vec![1_u8; 1 << 20])[i])).sum();
    println!(\"{}\", if sum == 200 { \"done\" } else { \"\" });
}",
    lines_5000: "fn main() { for i in 1..=5000 { println!(\"line {i}\"); } }",
};

const CSHARP: Language = Language {
    id: "csharp",
    version: "Mono JIT compiler version 6.12.",
    hello: "class Program { static void Main() => System.Console.WriteLine(\"Hello\"); }",
    echo: "using System;
class Program {
    static void Main(string[] args) {
        Console.Write(Console.In.ReadToEnd());
        Console.WriteLine($\"[{string.Join(\"|\", args)}]\");
    }
}",
    files: (
        "using System;\nusing System.Linq;
class Program { static void Main() => Console.WriteLine(new[] { Numbers.Forty, Lib.Two.Value }.Sum()); }",
        &[
            ("Numbers.cs", "static class Numbers { public const int Forty = 40; }"),
            ("lib/two.cs", "namespace Lib { public static class Two { public static int Value => 2; } }"),
        ],
    ),
    mistake: (
        "class Program { static void Main() { int x = \"1\"; } }",
        &["Program.cs(1,46): error CS0029: Cannot implicitly convert"],
        Mistake::Compiled,
    ),
    exit_7: "class Program { static int Main() => 7; }",
    crash: (
        "class Program {\n    static void Main(string[] args) {\n        throw new System.Exception(\"no way\");\n    }\n}",
        Some(1),
        None,
        "Program.cs:3",
    ),
    spin: "class Program { static void Main() { for (long i = 0; ; i++) if (i < 0) break; } }",
    hoards: &[
        "using System.Collections.Generic;
class Program { static void Main() { var kept = new List<string>(); for (;;) kept.Add(\"x\" + kept.Count); } }",
        "using System.Collections.Generic;
class Program {
    static void Main() {
        var kept = new List<byte[]>();
        for (;;) { var block = new byte[1 << 20]; for (int i = 0; i < 1 << 20; i += 4096) block[i] = 1; kept.Add(block); }
    }
}",
    ],
    churn: "class Program {
    static void Main() {
        int sum = 0;
        for (int i = 0; i < 200; i++) sum += new byte[1 << 20].Length >> 20;
        System.Console.WriteLine(sum == 200 ? \"done\" : \"\");
    }
}",
    lines_5000: "class Program {
    static void Main() { for (int i = 1; i <= 5000; i++) System.Console.WriteLine(\"line \" + i); }
}",
};

const KOTLIN: Language = Language {
    id: "kotlin",
    version: "Kotlin 2.4.",
    hello: "fun main() = println(\"Hello\")",
    echo: "fun main(args: Array<String>) {
    System.`in`.transferTo(System.out)
    println(args.joinToString(\"|\", \"[\", \"]\"))
}",
    files: (
        "import lib.two\nfun main() = println(forty() + two)",
        &[
            ("numbers.kt", "fun forty() = 40"),
            ("lib/two.kt", "package lib\nval two = 2"),
        ],
    ),
    mistake: (
        "fun main() { val x: Int = \"1\" }",
        &["Main.kt:1:25: error: initializer type mismatch"],
        Mistake::Compiled,
    ),
    exit_7: "fun main() { kotlin.system.exitProcess(7) }",
    crash: (
        "fun main(args: Array<String>) {\n    println(args[0])\n}",
        Some(1),
        None,
        "at MainKt.main(Main.kt:2)",
    ),
    spin: "fun main() { var i = 0L; while (true) i++ }",
    hoards: &[
        "fun main() { val kept = mutableListOf<String>(); while (true) kept += \"x${kept.size}\" }",
        "fun main() { println(ByteArray(1 shl 30).size) }",
    ],
    churn: "fun main() {
    val sum = (1..200).sumOf { ByteArray(1 shl 20).size shr 20 }
    println(if (sum == 200) \"done\" else \"\")
}",
    lines_5000: "fun main() { for (i in 1..5000) println(\"line $i\") }",
};
