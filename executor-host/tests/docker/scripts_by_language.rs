//! The programs of [`crate::programs_by_language`] in the languages that run from their source.

use crate::programs_by_language::{Language, Mistake};

pub const TYPESCRIPT: Language = Language {
    id: "typescript",
    version: "Node.js v26.",
    // What is code, and not only types: it has to be made, not taken away.
    hello: "enum Word { Hello = 'Hello' }
namespace Words { export const word: Word = Word.Hello }
class Greeter { constructor(private readonly word: string) {} greet(): void { console.log(this.word) } }
new Greeter(Words.word).greet()",
    echo: "import { readFileSync } from 'node:fs'
const input: string = await new Promise(resolve => resolve(readFileSync(0, 'utf8')))
process.stdout.write(input)
console.log(`[${process.argv.slice(2).join('|')}]`)",
    files: (
        "import { forty } from './lib/numbers'\nimport { two } from './two.ts'
import * as three from './three.json'\nconst fs = require('node:fs')
console.log(forty + two + (fs.existsSync(__dirname) ? three.three - 3 : 1))",
        &[
            ("lib/numbers.ts", "export const forty: number = 40"),
            ("two.ts", "export const two = 2 as const"),
            ("three.json", "{\"three\": 3}"),
        ],
    ),
    mistake: (
        "let x: number = ;",
        &["main.ts:1:16:", "Unexpected \";\""],
        Mistake::Compiled,
    ),
    exit_7: "process.exit(7)",
    // The line is that of the source, types and all.
    crash: (
        "interface Box {\n    x: string\n}\nconst box: Box | null = null\nconsole.log(box!.x)",
        Some(1),
        None,
        "main.ts:5",
    ),
    spin: "for (let i: number = 0; ; i++);",
    hoards: &[
        "const kept: object[] = []; for (;;) kept.push({ number: kept.length, text: 'x' + kept.length })",
        "const kept: Buffer[] = []; for (;;) kept.push(Buffer.alloc(1 << 20, 1))",
    ],
    churn: "let kept: number[] = []
for (let i = 0; i < 200; i++) kept = new Array<number>(1 << 17).fill(i + 0.5)
console.log(kept.length ? 'done' : '')",
    lines_5000: "for (let i: number = 1; i <= 5000; i++) console.log(`line ${i}`)",
};

pub const PHP: Language = Language {
    id: "php",
    version: "PHP 8.4.",
    hello: "<?php echo mb_ucfirst('hello'), PHP_EOL;",
    echo: "<?php
stream_copy_to_stream(STDIN, STDOUT);
echo '[' . implode('|', array_slice($argv, 1)) . \"]\\n\";",
    files: (
        "<?php require 'lib/numbers.php'; require_once 'two.php'; echo forty() + TWO, \"\\n\";",
        &[
            (
                "lib/numbers.php",
                "<?php function forty(): int { return 40; }",
            ),
            ("two.php", "<?php const TWO = 2;"),
        ],
    ),
    mistake: (
        "<?php\n$x = = 1;",
        &[
            "Parse error: syntax error, unexpected token \"=\"",
            "main.php on line 2",
        ],
        Mistake::Run,
    ),
    exit_7: "<?php exit(7);",
    crash: (
        "<?php\nintdiv(1, 0);",
        Some(255),
        None,
        "Fatal error: Uncaught DivisionByZeroError",
    ),
    spin: "<?php while (true);",
    hoards: &[
        "<?php $kept = []; while (true) $kept[] = 'x' . count($kept);",
        "<?php $x = str_repeat('x', 1 << 30);",
        "<?php $kept = []; while (true) $kept[] = gmp_pow(3, 1 << 20);",
    ],
    churn: "<?php for ($i = 0; $i < 200; $i++) $x = str_repeat('x', 1 << 20); echo \"done\\n\";",
    lines_5000: "<?php for ($i = 1; $i <= 5000; $i++) echo \"line $i\\n\";",
};

pub const RUBY: Language = Language {
    id: "ruby",
    version: "ruby 3.3.",
    hello: "puts 'Hello'",
    echo: "$stdout.write($stdin.read)\nputs \"[#{ARGV.join('|')}]\"",
    files: (
        "require_relative 'lib/numbers'\nrequire './two'\nputs forty + TWO",
        &[("lib/numbers.rb", "def forty = 40"), ("two.rb", "TWO = 2")],
    ),
    mistake: ("x = = 1", &["main.rb:1:", "syntax error"], Mistake::Run),
    exit_7: "exit 7",
    crash: (
        "nil.length",
        Some(1),
        None,
        "main.rb:1:in `<main>': undefined method `length' for nil (NoMethodError)",
    ),
    spin: "loop {}",
    hoards: &[
        "kept = []\nloop { kept << \"x#{kept.size}\" }",
        "x = 'x' * (1 << 30)",
        "x = 'x' * (1 << 50)",
    ],
    churn: "200.times { 'x' * (1 << 20) }\nputs 'done'",
    lines_5000: "1.upto(5000) { |i| puts \"line #{i}\" }",
};

pub const BASH: Language = Language {
    id: "bash",
    version: "GNU bash, version 5.2.",
    hello: "echo Hello",
    echo: "cat\nIFS='|'\necho \"[$*]\"",
    files: (
        "source lib/numbers.sh\nread -r two < two.txt\necho $(($(forty) + two))",
        &[
            (
                "lib/numbers.sh",
                "forty() { echo '{\"forty\": 40}' | jq .forty; }",
            ),
            ("two.txt", "2\n"),
        ],
    ),
    mistake: (
        "if; then",
        &["main.sh: line 1: syntax error near unexpected token `;'"],
        Mistake::Run,
    ),
    exit_7: "exit 7",
    crash: (
        "set -u\necho \"$nothing\"",
        Some(1),
        None,
        "main.sh: line 2: nothing: unbound variable",
    ),
    spin: "while :; do :; done",
    hoards: &[
        "x=x; while :; do x=$x$x; done",
        "while :; do kept+=(\"$(printf '%1048576s')\"); done",
    ],
    churn: "for i in {1..200}; do printf -v x '%1048576s' ''; done\necho done",
    lines_5000: "for ((i = 1; i <= 5000; i++)); do echo \"line $i\"; done",
};

pub const LUA: Language = Language {
    id: "lua",
    version: "Lua 5.4.",
    hello: "print('Hello')",
    echo: "io.write(io.read('a'))\nprint('[' .. table.concat(arg, '|') .. ']')",
    files: (
        "local numbers = require('numbers')\nprint(numbers.forty + require('lib.two'))",
        &[
            ("numbers.lua", "return { forty = 40 }"),
            ("lib/two.lua", "return 2"),
        ],
    ),
    mistake: (
        "x = = 1",
        &["main.lua:1: unexpected symbol near '='"],
        Mistake::Run,
    ),
    exit_7: "os.exit(7)",
    crash: (
        "local x\nprint(x.y)",
        Some(1),
        None,
        "main.lua:2: attempt to index a nil value (local 'x')",
    ),
    spin: "while true do end",
    hoards: &[
        "local kept = {}\nwhile true do kept[#kept + 1] = 'x' .. #kept end",
        "local x = ('x'):rep(1 << 30)",
    ],
    churn: "for i = 1, 200 do local x = ('x'):rep(1 << 20) end\nprint('done')",
    lines_5000: "for i = 1, 5000 do print('line ' .. i) end",
};

pub const PERL: Language = Language {
    id: "perl",
    version: "Perl v5.40.",
    hello: "use v5.40;\nsay 'Hello';",
    echo: "print while <STDIN>;\nprint '[', join('|', @ARGV), \"]\\n\";",
    files: (
        "use strict;\nuse Numbers;\nrequire './lib/two.pl';\nprint Numbers::forty() + two(), \"\\n\";",
        &[
            ("Numbers.pm", "package Numbers;\nsub forty { 40 }\n1;"),
            ("lib/two.pl", "sub two { 2 }\n1;"),
        ],
    ),
    mistake: (
        "my $x = = 1;",
        &["syntax error at main.pl line 1, near \"= =\""],
        Mistake::Run,
    ),
    exit_7: "exit 7;",
    crash: (
        "use v5.40;\nmy $x;\n$x->y;",
        Some(255),
        None,
        "Can't call method \"y\" on an undefined value at main.pl line 3.",
    ),
    spin: "1 while 1;",
    hoards: &[
        "my @kept; push @kept, 'x' . @kept while 1;",
        "my $x = 'x' x (1 << 30);",
        "my $x = 'x' x (1 << 50);",
    ],
    churn: "for my $i (1 .. 200) { my $n = 1 << 20; my $x = 'x' x $n; }\nprint \"done\\n\";",
    lines_5000: "print \"line $_\\n\" for 1 .. 5000;",
};

pub const SQL: Language = Language {
    id: "sql",
    version: "SQLite 3.46.",
    hello: "SELECT 'Hello';",
    echo: "CREATE TABLE input (line);
.import |cat input
SELECT line FROM input;
SELECT '[' || concat_ws('|', ?1, ?2, ?3, ?4) || ']';",
    files: (
        ".read lib/numbers.sql\n.import --csv two.csv two\nSELECT forty + two FROM numbers, two;",
        &[
            (
                "lib/numbers.sql",
                "CREATE TABLE numbers AS SELECT 40 AS forty;",
            ),
            ("two.csv", "two,name\n2,\"two, too\"\n"),
        ],
    ),
    mistake: (
        "SELECT 1;\nSELEC 2;",
        &["Parse error near line 2: near \"SELEC\": syntax error"],
        Mistake::Run,
    ),
    exit_7: ".exit 7",
    crash: (
        "SELECT abs(-9223372036854775808);",
        Some(1),
        None,
        "Runtime error near line 1: integer overflow",
    ),
    spin: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n;",
    hoards: &["CREATE TABLE kept AS
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT randomblob(10000) FROM n;"],
    churn: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200)
SELECT iif(sum(length(randomblob(1 << 20))) = 200 << 20, 'done', '') FROM n;",
    lines_5000: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000)
SELECT 'line ' || i FROM n;",
};

pub const PYTHON_DATA: Language = Language {
    id: "python-data",
    version: "Python 3.13.",
    // A plot of some text, which takes fonts, besides the two libraries.
    hello: "
import matplotlib.pyplot as plt, numpy as np, os, pandas as pd
frame = pd.DataFrame({'x': np.arange(5), 'y': np.arange(5) ** 2})
frame.plot(x='x', y='y', title='Grüße')
plt.savefig('plot.png')
print('Hello' if open('plot.png', 'rb').read(4) == b'\\x89PNG' and frame.y.sum() == 30 else '')
",
    echo: "
import sys
print(sys.stdin.read(), end='')
print('[' + '|'.join(sys.argv[1:]) + ']')
",
    files: (
        "import pandas as pd, helper; print(pd.read_csv('lib/two.csv').two.sum() + helper.FORTY)",
        &[("helper.py", "FORTY = 40"), ("lib/two.csv", "two\n1\n1\n")],
    ),
    mistake: (
        "x = = 1",
        &["main.py\", line 1", "SyntaxError"],
        Mistake::Run,
    ),
    exit_7: "raise SystemExit(7)",
    crash: (
        "import numpy as np; np.zeros(3)[5]",
        Some(1),
        None,
        "IndexError: index 5 is out of bounds",
    ),
    spin: "while True: pass",
    hoards: &[
        "import numpy as np\nkept = []\nwhile True: kept.append(np.ones(1 << 17))",
        "import numpy as np; x = np.ones(1 << 40)",
    ],
    churn: "
import pandas as pd, numpy as np
for _ in range(200): x = pd.Series(np.ones(1 << 17))
print('done')
",
    lines_5000: "for i in range(1, 5001): print('line', i)",
};

pub const R: Language = Language {
    id: "r",
    version: "R version 4.5.",
    hello: "cat('Hello\\n')",
    echo: "
cat(readLines(file('stdin')), sep = '\\n')
cat('[', paste(commandArgs(TRUE), collapse = '|'), ']\\n', sep = '')
",
    files: (
        "source('lib/numbers.R')\ncat(forty + sum(read.csv('two.csv')$two), '\\n', sep = '')",
        &[("lib/numbers.R", "forty <- 40"), ("two.csv", "two\n1\n1\n")],
    ),
    mistake: (
        "x <- = 1",
        &["Error: unexpected '=' in \"x <- =\""],
        Mistake::Run,
    ),
    exit_7: "quit(status = 7)",
    crash: (
        "f <- function() stop('no way')\nf()",
        Some(1),
        None,
        "Error in f() : no way",
    ),
    spin: "repeat {}",
    hoards: &[
        "kept <- list()\nrepeat kept[[length(kept) + 1]] <- rep(1, 1e5)",
        "x <- rep(1, 2^28)",
        "x <- numeric(2^45)",
    ],
    churn: "for (i in 1:200) x <- rep(1, 2^17)\ncat('done\\n')",
    lines_5000: "for (i in 1:5000) cat(paste0('line ', i, '\\n'))",
};
