//! Some types are in the API as well as in a job. From clients, a field that is not known is a
//! mistake that they are told of (`deny_unknown_fields`). From an edge it is something that was
//! added later, and is read past; so these stand in where a host reads them.

use serde::{Deserialize, Deserializer};

use super::SourceFile;
use crate::interaction::{Input, Interactive, Signal, TerminalSize};

#[derive(Deserialize)]
struct File {
    path: String,
    content: String,
}

#[derive(Deserialize)]
struct Keyboard {
    #[serde(default)]
    terminal: Option<Size>,
}

#[derive(Deserialize)]
struct Size {
    columns: u16,
    rows: u16,
}

impl From<Size> for TerminalSize {
    fn from(Size { columns, rows }: Size) -> Self {
        Self { columns, rows }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
enum Typed {
    Text { text: String },
    End,
    Signal { signal: Signal },
    Resize(Size),
}

impl From<Typed> for Input {
    fn from(typed: Typed) -> Self {
        match typed {
            Typed::Text { text } => Self::Text { text },
            Typed::End => Self::End,
            Typed::Signal { signal } => Self::Signal { signal },
            Typed::Resize(size) => Self::Resize(size.into()),
        }
    }
}

/// [`super::Job::files`].
pub(super) fn files<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<SourceFile>, D::Error> {
    let files = Vec::<File>::deserialize(from)?.into_iter();
    let file = |File { path, content }| SourceFile { path, content };
    Ok(files.map(file).collect())
}

/// [`super::Job::interactive`].
pub(super) fn interactive<'de, D>(from: D) -> Result<Option<Interactive>, D::Error>
where
    D: Deserializer<'de>,
{
    let keyboard = Option::<Keyboard>::deserialize(from)?;
    Ok(keyboard.map(|keyboard| Interactive {
        terminal: keyboard.terminal.map(TerminalSize::from),
    }))
}

/// [`crate::interaction::Inputs::inputs`].
pub(crate) fn inputs<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Input>, D::Error> {
    let typed = Vec::<Typed>::deserialize(from)?.into_iter();
    Ok(typed.map(Input::from).collect())
}
