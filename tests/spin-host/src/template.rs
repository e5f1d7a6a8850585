//! Templates of the manifest: text with `{{ variable }}` in it.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// Text in which variables of the application stand in double braces.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(String),
}

impl FromStr for Template {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after
                .split_once("}}")
                .with_context(|| format!("{text:?}: a \"{{{{\" has no \"}}}}\""))?;
            parts.push(Part::Text(before.into()));
            parts.push(Part::Variable(name.trim().into()));
            rest = after;
        }
        parts.push(Part::Text(rest.into()));
        Ok(Self(parts))
    }
}

impl TryFrom<String> for Template {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl Template {
    /// The names of the variables in it.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Variable(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The text with the variables' values put in.
    ///
    /// # Errors
    /// A variable that has no value.
    pub fn fill(&self, values: &BTreeMap<String, String>) -> Result<String> {
        let part = |part: &Part| match part {
            Part::Text(text) => Ok(text.clone()),
            Part::Variable(name) => values
                .get(name)
                .cloned()
                .with_context(|| format!("there is no variable {name:?}")),
        };
        self.0.iter().map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_where_they_stand() {
        let values = BTreeMap::from([("a".into(), "1".into()), ("b".into(), "{{ a }}".into())]);
        let cases = [
            ("", ""),
            ("plain", "plain"),
            ("{{ a }}", "1"),
            ("x{{a}}y{{ b }}z", "x1y{{ a }}z"),
            ("}} { {{a}} }", "}} { 1 }"),
        ];
        for (template, filled) in cases {
            let template: Template = template.parse().unwrap();
            assert_eq!(template.fill(&values).unwrap(), filled);
        }
    }

    #[test]
    fn a_variable_without_a_value_is_an_error() {
        let template: Template = "{{ gone }}".parse().unwrap();
        let error = template.fill(&BTreeMap::new()).unwrap_err();
        assert!(error.to_string().contains("gone"));
    }
}
