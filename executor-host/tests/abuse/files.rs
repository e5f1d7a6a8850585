//! A71: files that are to come back, made to bring something else, or too much of it.

use codecrafter_shared::job::{LeftOutReason, RunOutcome, Verdict};
use codecrafter_shared::limits;

use crate::world::{Attack, Case, Program, attacks, printed};

pub fn attacks() -> Vec<Attack> {
    attacks![
        a71_links_pipes_and_sockets_are_not_followed_or_waited_for,
        a71_hard_links_and_a_replaced_directory_bring_nothing,
        a71_a_file_that_claims_to_be_huge_is_not_read,
        a71_names_that_mean_something_elsewhere_are_not_used,
        a71_files_without_number_are_counted_and_not_kept,
        a71_what_changes_after_the_end_of_the_program_does_not_change,
    ]
}

fn left_out(run: &RunOutcome) -> Vec<(&str, LeftOutReason)> {
    let left_out = run.files.left_out.iter();
    left_out.map(|file| (&*file.name, file.reason)).collect()
}

async fn a71_links_pipes_and_sockets_are_not_followed_or_waited_for(case: &mut Case) {
    let code = "
import os, socket
os.symlink('/etc/shadow', 'a.txt')
os.symlink('/proc/1/environ', 'b.txt')
os.symlink('/proc/self/root/agent', 'c.png')
os.symlink('main.py', 'd.txt')
os.mkfifo('e.txt')
socket.socket(socket.AF_UNIX).bind('f.txt')
os.symlink('g.txt', 'g.txt')
";
    let run = case.run_one(Program::python(code)).await;
    assert_eq!(run.verdict, Verdict::Accepted, "{run:#?}");
    assert!(run.files.files.is_empty(), "{:?}", run.files);
    let names = [
        "a.txt", "b.txt", "c.png", "d.txt", "e.txt", "f.txt", "g.txt",
    ];
    let expected = names.map(|name| (name, LeftOutReason::NotAFile));
    assert_eq!(left_out(&run), expected);
}

async fn a71_hard_links_and_a_replaced_directory_bring_nothing(case: &mut Case) {
    let code = "
import os
os.link('main.py', 'code.txt')
try: os.link('/agent', 'agent.png')
except OSError: print('refused')
for change in [lambda: os.rmdir('/work'), lambda: os.rename('/work', '/tmp/work'),
               lambda: os.symlink('/etc', '/work')]:
    try: change()
    except OSError: print('refused')
os.chmod('/work', 0)
";
    let run = case.run_one(Program::python(code)).await;
    assert_eq!(printed(&run), "refused\n".repeat(4));
    assert!(run.files.files.is_empty(), "{:?}", run.files);
    // The program's own text is a file with two names now.
    let expected = ["code.txt", "main.py"].map(|name| (name, LeftOutReason::NotAFile));
    assert_eq!(left_out(&run), expected);
}

async fn a71_a_file_that_claims_to_be_huge_is_not_read(case: &mut Case) {
    let code = "
for n in range(200): open(f'{n:03}.txt', 'w').truncate(60 << 20)
open('z.txt', 'w').write('small')
";
    let run = case.run_one(Program::python(code)).await;
    assert_eq!(run.verdict, Verdict::Accepted, "{run:#?}");
    assert_eq!(run.files.files.len(), 1);
    assert_eq!(run.files.files[0].name, "z.txt");
    assert_eq!(run.files.left_out_count, 200);
    assert_eq!(left_out(&run)[0], ("000.txt", LeftOutReason::TooLarge));
}

async fn a71_names_that_mean_something_elsewhere_are_not_used(case: &mut Case) {
    let code = r#"
import os
for name in [b'a\nSet-Cookie: x=y\n.txt', b'..png', b'a\".png', b'\xff\xfe.txt', b'a%2f..%2fb.txt',
             b'a\\..\\b.txt', '\u202egnp.exe.txt'.encode(), b'<img src=x>.svg', b'x' * 200 + b'.txt']:
    open(name, 'w').write('here')
os.makedirs('plot.png')
"#;
    let run = case.run_one(Program::python(code)).await;
    assert_eq!(run.verdict, Verdict::Accepted, "{run:#?}");
    assert!(run.files.files.is_empty(), "{:?}", run.files);
    assert_eq!(run.files.left_out_count, 9);
    for file in &run.files.left_out {
        assert_eq!(file.reason, LeftOutReason::Name);
        assert!(!file.name.contains(char::is_control), "{file:?}");
        assert!(file.name.chars().count() <= 61, "{file:?}");
    }
}

async fn a71_files_without_number_are_counted_and_not_kept(case: &mut Case) {
    let code = "
try:
    for n in range(100_000): open(f'{n}.txt', 'w').close()
except OSError as error: print(error.strerror)
";
    let run = case.run_one(Program::python(code)).await;
    assert_eq!(printed(&run), "No space left on device\n");
    assert_eq!(run.files.files.len(), limits::OUTPUT_FILES_MAX);
    assert_eq!(run.files.left_out.len(), limits::OUTPUT_FILES_NAMED_MAX);
    assert!(
        (8_000..8_200).contains(&run.files.left_out_count),
        "{:?}",
        run.files.left_out_count
    );
}

/// Processes that are left behind are dead before anything is read, so none can exchange a file
/// for a link in between.
async fn a71_what_changes_after_the_end_of_the_program_does_not_change(case: &mut Case) {
    let code = "
import os
open('kept.txt', 'w').write('mine'); os.symlink('/etc/passwd', 'link')
for _ in range(8):
    if os.fork() == 0:
        os.setsid()
        while True:
            os.rename('kept.txt', 'other'); os.rename('link', 'kept.txt')
            os.rename('kept.txt', 'link'); os.rename('other', 'kept.txt')
";
    for _ in 0..3 {
        let run = case.run_one(Program::python(code)).await;
        assert_eq!(run.verdict, Verdict::Accepted, "{run:#?}");
        let data: Vec<_> = run.files.files.iter().map(|file| &*file.data).collect();
        // As it was when the last of them died.
        assert!(data.is_empty() || data == ["bWluZQ=="], "{data:?}");
    }
}
