//! Interactive runs: what somebody does at the keyboard of a program while it runs, on its way
//! from the page to the program.
//!
//! Input is told in the order in which the edge took it and counted per execution. It is for the
//! program that reads it: what was given to an attempt that a host could not finish does not come
//! again with the next one, which begins anew and asks anew.

use serde::{Deserialize, Serialize};

/// That a run is interactive: its standard input stays open after what is given beforehand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Interactive {
    /// Gives the program a terminal of this size, on which both outputs are one: prompts come
    /// without a newline, and Ctrl-C is a signal. Without it, input and outputs are pipes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<TerminalSize>,
}

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TerminalSize {
    /// Letters in a line, 1 to 1,000.
    pub columns: u16,
    /// Lines, 1 to 1,000.
    pub rows: u16,
}

/// One thing that is done at the keyboard of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Input {
    /// Writes to its standard input.
    Text {
        /// What is written, as it is: a line ends with `\n`, and with `\r` on a terminal.
        text: String,
    },
    /// Ends its standard input. Nothing can be written any more.
    End,
    /// Sends a signal to its first process and that one's group.
    Signal {
        /// Which.
        signal: Signal,
    },
    /// Gives its terminal another size; nothing without a terminal.
    Resize(TerminalSize),
}

/// A signal that may be sent to a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Signal {
    /// As Ctrl-C.
    #[serde(rename = "SIGINT")]
    Interrupt,
    /// As Ctrl-\.
    #[serde(rename = "SIGQUIT")]
    Quit,
    /// The polite request to end.
    #[serde(rename = "SIGTERM")]
    Terminate,
    /// The terminal is gone.
    #[serde(rename = "SIGHUP")]
    HangUp,
    /// For programs that define it.
    #[serde(rename = "SIGUSR1")]
    User1,
    /// For programs that define it.
    #[serde(rename = "SIGUSR2")]
    User2,
}

impl Signal {
    /// The number that Linux gives it, on every architecture that runs programs here.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::HangUp => 1,
            Self::Interrupt => 2,
            Self::Quit => 3,
            Self::User1 => 10,
            Self::User2 => 12,
            Self::Terminate => 15,
        }
    }
}

/// Several inputs in a row, and where in the execution's row of inputs they belong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inputs {
    /// How many came before the first of these.
    pub after: u32,
    /// In order; at least one.
    #[serde(deserialize_with = "crate::job::lenient::inputs")]
    pub inputs: Vec<Input>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn inputs_look_on_the_wire_as_documented() {
        let inputs = [
            (
                Input::Text { text: "5\n".into() },
                json!({"type": "text", "text": "5\n"}),
            ),
            (Input::End, json!({"type": "end"})),
            (
                Input::Signal {
                    signal: Signal::Interrupt,
                },
                json!({"type": "signal", "signal": "SIGINT"}),
            ),
            (
                Input::Resize(TerminalSize {
                    columns: 80,
                    rows: 24,
                }),
                json!({"type": "resize", "columns": 80, "rows": 24}),
            ),
        ];
        for (input, wire) in inputs {
            assert_eq!(serde_json::to_value(&input).unwrap(), wire);
            assert_eq!(serde_json::from_value::<Input>(wire).unwrap(), input);
        }
    }
}
