//! A31–A40: attacks by what is compiled, and by the compiler itself.
//!
//! No language here runs a source's code while it compiles it, and no job chooses a compiler's
//! flags. What would come of it is tried with a language whose compiler is the attacker's
//! ([`Program::builder`]).

use codecrafter_shared::job::{Outcome, RunOutcome, Verdict};

use crate::world::{Attack, Case, Program, attacks, printed};

pub fn attacks() -> Vec<Attack> {
    attacks![
        a31_templates_without_end_end_with_the_compilers_limit,
        a31_a_constant_that_takes_for_ever_ends_with_the_compilers_limit,
        a31_macros_that_double_end_with_the_compilers_limit,
        a32_devices_and_pipes_are_no_source,
        a33_a_compiler_reads_no_secret,
        a34_a_flood_of_diagnostics_is_ended_and_only_so_much_is_kept,
        a35_what_runs_while_compiling_has_no_more_rights_than_a_program,
        a35_annotation_processors_are_not_run,
        a35_a_file_is_no_option_of_the_compiler,
        a36_a_program_of_gigabytes_does_not_fit,
        a37_a_compiler_without_memory_is_a_fault_of_the_source,
        a38_a_link_in_the_place_of_the_program_leads_nowhere_else,
        a38_links_are_not_followed_when_files_are_put_back,
        a39_a_daemon_of_the_compiler_does_not_live_to_see_the_run,
        a40_paths_that_lead_elsewhere_are_refused,
    ]
}

/// The compiler's run of a job that ended with it.
#[track_caller]
fn refused(outcome: Outcome) -> RunOutcome {
    assert_eq!(outcome.verdict, Verdict::CompileError, "{outcome:#?}");
    assert_eq!(outcome.runs.len(), 0);
    outcome.compile.unwrap()
}

/// Limits of a compiler that a source may run into.
const LIMITS: [Verdict; 2] = [Verdict::TimeLimit, Verdict::MemoryLimit];

async fn a31_templates_without_end_end_with_the_compilers_limit(case: &mut Case) {
    let code = include_str!("programs/a31_templates.cpp");
    let compiler = refused(case.run(Program::new("cpp", code)).await);
    assert!(LIMITS.contains(&compiler.verdict), "{compiler:#?}");
}

/// The compiler has a limit of its own for that, which comes first.
async fn a31_a_constant_that_takes_for_ever_ends_with_the_compilers_limit(case: &mut Case) {
    let code = "
constexpr long forever() { long n = 0; for (;;) ++n; return n; }
constexpr long x = forever();
int main() {}
";
    let compiler = refused(case.run(Program::new("cpp", code)).await);
    assert!(compiler.stderr.data.contains("constexpr"), "{compiler:#?}");
}

async fn a31_macros_that_double_end_with_the_compilers_limit(case: &mut Case) {
    let compiler = refused(case.run(Program::c(&doubling_macros())).await);
    assert!(LIMITS.contains(&compiler.verdict), "{compiler:#?}");
}

/// A line that a preprocessor makes 2⁴⁰ words of.
fn doubling_macros() -> String {
    let mut code = "#define M0 x x\n".to_owned();
    for level in 1..40 {
        let below = level - 1;
        code += &format!("#define M{level} M{below} M{below}\n");
    }
    code + "int main(void) { M39 }\n"
}

async fn a32_devices_and_pipes_are_no_source(case: &mut Case) {
    for path in [
        "/dev/urandom",
        "/dev/stdin",
        "/proc/self/mem",
        "/proc/self/environ",
        "/proc/1/fd/0",
    ] {
        let code = format!("#include \"{path}\"\nint main(void) {{ return missing; }}\n");
        let compiler = refused(case.run(Program::c(&code)).await);
        let kept = compiler.stderr.data.len() + compiler.stderr.tail.map_or(0, |tail| tail.len());
        // A third more where it is no text and comes back as base64.
        assert!(kept <= 32 * 1024 * 4 / 3 + 8, "{path}: {kept} bytes");
    }
}

async fn a33_a_compiler_reads_no_secret(case: &mut Case) {
    for path in [
        "/etc/shadow",
        "/proc/1/environ",
        "/proc/1/fd/0",
        "/root/.bashrc",
    ] {
        let code = format!("#include \"{path}\"\nint main(void) {{}}\n");
        let compiler = refused(case.run(Program::c(&code)).await);
        assert!(
            compiler.stderr.data.contains("Permission denied"),
            "{path}: {compiler:#?}"
        );
        let code = format!("__asm__(\".incbin \\\"{path}\\\"\");\nint main(void) {{}}\n");
        let compiler = refused(case.run(Program::c(&code)).await);
        assert!(
            compiler.stderr.data.contains("not found"),
            "{path}: {compiler:#?}"
        );
    }
    let code = "fn main() { print!(\"{:?}\", include_bytes!(\"/etc/shadow\")); }";
    let compiler = refused(case.run(Program::new("rust", code)).await);
    assert!(
        compiler.stderr.data.contains("Permission denied"),
        "{compiler:#?}"
    );
}

async fn a34_a_flood_of_diagnostics_is_ended_and_only_so_much_is_kept(case: &mut Case) {
    // Every line includes the file twice more, and is an error at every level.
    let code = "
#if __INCLUDE_LEVEL__ < 14
#include __FILE__
#include __FILE__
#endif
int f() { return undeclared; }
#error again
";
    let compiler = refused(case.run(Program::c(code)).await);
    assert_eq!(compiler.verdict, Verdict::OutputLimit, "{compiler:#?}");
    assert!(compiler.stderr.truncated);
    let kept = compiler.stderr.data.len() + compiler.stderr.tail.unwrap().len();
    assert!(kept <= 32 * 1024, "{kept} bytes");
}

async fn a35_what_runs_while_compiling_has_no_more_rights_than_a_program(case: &mut Case) {
    let code = "
import os, socket
for line in open('/proc/self/status'):
    name, value = line.split(':')
    if name in ('CapPrm', 'CapEff', 'CapBnd', 'NoNewPrivs', 'Seccomp'): print(name, *value.split())
print(0 in os.getresuid() + os.getresgid(), os.getgroups(), sorted(os.environ))
try: socket.create_connection(('127.0.0.1', 80), timeout=1)
except OSError as error: print(error.strerror)
for path in ['/x', '/usr/x', '/etc/x']:
    try: open(path, 'w')
    except OSError as error: print(error.strerror)
raise SystemExit(1)
";
    let compiler = refused(case.run(Program::builder(code)).await);
    let expected = "\
CapPrm 0000000000000000
CapEff 0000000000000000
CapBnd 0000000000000000
NoNewPrivs 1
Seccomp 2
False [] ['HOME', 'LANG', 'PATH', 'PYTHONDONTWRITEBYTECODE', 'PYTHONUNBUFFERED']
Connection refused
Read-only file system
Read-only file system
Read-only file system
";
    assert_eq!(compiler.stdout.data, expected);
}

/// One would have to be a class already. Its name alone makes javac look for it.
async fn a35_annotation_processors_are_not_run(case: &mut Case) {
    let service = "META-INF/services/javax.annotation.processing.Processor";
    let code = "class Main { public static void main(String[] args) { System.out.println(1); } }";
    let outcome = case
        .run(Program::new("java", code).file(service, "Evil\n"))
        .await;
    assert_eq!(outcome.verdict, Verdict::Accepted, "{outcome:#?}");
    assert_eq!(printed(&outcome.runs[0]), "1\n");
}

async fn a35_a_file_is_no_option_of_the_compiler(case: &mut Case) {
    let code = "int other(void);\nint main(void) { return other(); }";
    let program = Program::c(code).file("-wrapper.c", "int other(void) { return 0; }");
    let outcome = case.run(program).await;
    assert_eq!(outcome.verdict, Verdict::Accepted, "{outcome:#?}");
}

async fn a36_a_program_of_gigabytes_does_not_fit(case: &mut Case) {
    let code = "char array[1u << 31] = {1};\nint main(void) {}";
    let compiler = refused(case.run(Program::c(code)).await);
    assert_ne!(compiler.verdict, Verdict::Accepted);
    let small = Program::builder("open('program', 'wb').truncate(1 << 32)");
    let compiler = refused(case.run(small).await);
    assert!(
        compiler.stderr.data.contains("File too large"),
        "{compiler:#?}"
    );
}

async fn a37_a_compiler_without_memory_is_a_fault_of_the_source(case: &mut Case) {
    let outcome = case.run(Program::builder("x = bytearray(3 << 30)")).await;
    let message = "The compiler needed more than its 1024 MiB of memory.";
    assert_eq!(outcome.message.as_deref(), Some(message));
    assert_eq!(refused(outcome).verdict, Verdict::MemoryLimit);
}

/// What runs is run with a program's rights, whatever it is; the agent, run by a program, lacks
/// those that it needs.
async fn a38_a_link_in_the_place_of_the_program_leads_nowhere_else(case: &mut Case) {
    for (target, expected) in [
        ("/agent", Verdict::RuntimeError),
        ("/etc/shadow", Verdict::RuntimeError),
        ("/proc/1/exe", Verdict::RuntimeError),
        ("/proc/1/root/bin/true", Verdict::RuntimeError),
        ("/usr/bin/id", Verdict::Accepted),
    ] {
        let code = format!("import os; os.symlink('{target}', 'program')");
        let outcome = case.run(Program::builder(&code)).await;
        assert_eq!(outcome.verdict, expected, "{target}: {outcome:#?}");
        assert!(
            !outcome.runs[0].stdout.data.contains("uid=0"),
            "{outcome:#?}"
        );
    }
}

/// What a compiler leaves is put back before the second run, and in the container of an equal job
/// that finds it compiled: here with links of every kind in it.
async fn a38_links_are_not_followed_when_files_are_put_back(case: &mut Case) {
    let code = "
import os
os.makedirs('deep/er')
os.symlink('/tmp', 'deep/tmp')
os.symlink('/work', 'deep/er/loop')
os.symlink('/nowhere/x', 'dangling')
os.link('main.py', 'hard')
os.symlink('a' * 4000, 'long')
with open('program', 'w') as f: f.write('''#!/bin/sh
find /tmp /dev/shm -mindepth 1
ls -A deep deep/er
readlink deep/tmp deep/er/loop dangling
echo x >deep/tmp/x; rm -r deep; ln -s /tmp deep; echo x >/dev/shm/x
''')
os.chmod('program', 0o6755)
";
    let expected = "deep:\ner\ntmp\n\ndeep/er:\nloop\n/tmp\n/work\n/nowhere/x\n";
    for _ in 0..2 {
        let outcome = case.run(Program::builder(code).inputs(&["", "", ""])).await;
        assert_eq!(outcome.runs.len(), 3, "{outcome:#?}");
        for run in &outcome.runs {
            assert_eq!(printed(run), expected);
        }
    }
}

/// A daemon may write for as long as the compiler lives, and not while the program runs.
async fn a39_a_daemon_of_the_compiler_does_not_live_to_see_the_run(case: &mut Case) {
    let code = r"
import os, time
with open('program', 'w') as f: f.write('#!/bin/sh\nstat -c %y mark >a; sleep 0.2; stat -c %y mark | cmp - a')
os.chmod('program', 0o755)
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True: open('mark', 'w').close()
        os._exit(0)
while not os.path.exists('mark'): time.sleep(0.01)
";
    let outcome = case.run(Program::builder(code).inputs(&["", ""])).await;
    assert_eq!(outcome.runs.len(), 2, "{outcome:#?}");
    outcome
        .runs
        .iter()
        .for_each(|run| assert_eq!(printed(run), ""));
}

async fn a40_paths_that_lead_elsewhere_are_refused(case: &mut Case) {
    let long = "a".repeat(300);
    let paths = [
        "",
        "/abs",
        "../x",
        "a/../../b",
        "a/./b",
        "a//b",
        "a/",
        ".",
        "..",
        "nul\0",
        "new\nline",
        "sp ace",
        "caf\u{e9}",
        "cafe\u{301}",
        "back\\slash",
        "C:x",
        "~/x",
        "$HOME",
        "a;b",
        "*",
        &long,
    ];
    for path in paths {
        let outcome = case.run(Program::python("").file(path, "")).await;
        assert_eq!(outcome.verdict, Verdict::CompileError, "{path:?}");
        assert!(outcome.message.unwrap().contains("is no path"), "{path:?}");
    }
    let twice = Program::python("").file("a.py", "").file("a.py", "");
    assert_eq!(case.run(twice).await.verdict, Verdict::CompileError);
    let both = Program::python("").file("a", "").file("a/b", "");
    assert_eq!(case.run(both).await.verdict, Verdict::CompileError);
    // These are two files to this kernel, and one that looks like an option is a file.
    let code = "import os; print(sorted(os.listdir()))";
    let program = Program::python(code)
        .file("A", "")
        .file("a", "")
        .file("-o", "");
    let run = case.run_one(program).await;
    assert_eq!(printed(&run), "['-o', 'A', 'a', 'main.py']\n");
}
