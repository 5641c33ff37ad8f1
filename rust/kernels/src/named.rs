//! Choices that callers make by name: a loss, the shape of a schedule, the method of an interval.
//!
//! [`named!`](crate::named!) declares such a choice as an enum, each of whose variants carries its name, its
//! description, its source and its parameters. The parser, the error message for an unknown name, the Python face, the
//! test cases and the committed digests all read this one table. A new variant is therefore one new row, after which
//! the compiler and the tests point out what else is missing. [`crate::registries`] lists the tables.

use std::fmt;

/// One row of a table: the description of a variant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct About {
    /// The name that callers pass.
    pub name: &'static str,
    /// The name that results show, where it differs from `name`; otherwise empty.
    pub title: &'static str,
    /// The variant's documentation, one sentence.
    pub summary: &'static str,
    /// Who published it; empty for what is common knowledge.
    pub source: &'static str,
    /// The columns it reads, where the variants of one table read different columns.
    pub columns: &'static [&'static str],
    /// What its rows must have for it to have a value, in words after "expected"; empty where it always has one.
    pub needs: &'static str,
    /// The numbers it takes.
    pub parameters: &'static [Parameter],
}

impl About {
    /// A row whose fields are all empty; a real row replaces some of them.
    pub const EMPTY: About =
        About { name: "", title: "", summary: "", source: "", columns: &[], needs: "", parameters: &[] };
}

/// A number that a variant takes, with its allowed range and its default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// The keyword.
    pub name: &'static str,
    /// The lower end of its range.
    pub low: Bound,
    /// The upper end of its range.
    pub high: Bound,
    /// The default; `None` where the caller must give the number.
    pub default: Option<f64>,
}

impl Parameter {
    /// Whether the number lies in the range.
    pub fn allows(&self, number: f64) -> bool {
        let ((low, low_allowed), (high, high_allowed)) = (self.low.parts(), self.high.parts());
        (low < number || low_allowed && low == number) && (number < high || high_allowed && number == high)
    }
}

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// The number itself is allowed.
    Closed(f64),
    /// The number itself is not allowed; those on the inner side of it are.
    Open(f64),
}

impl Bound {
    /// The number, and whether it is allowed itself.
    pub fn parts(self) -> (f64, bool) {
        match self {
            Bound::Closed(number) => (number, true),
            Bound::Open(number) => (number, false),
        }
    }
}

/// A choice by name; implemented by [`named!`](crate::named!).
pub trait Named: Copy + PartialEq + fmt::Debug + 'static {
    /// The table's key, `"group.argument"`: what follows the dot is the argument that callers pass the name in.
    const KEY: &'static str;
    /// Every variant, in the order in which they are shown.
    const ALL: &'static [Self];
    /// The description of each variant, in the same order.
    const ABOUT: &'static [About];

    /// The description of this variant.
    fn about(self) -> &'static About;

    /// The name of this variant.
    fn name(self) -> &'static str {
        self.about().name
    }

    /// The variant of that name.
    fn from_name(name: &str) -> Result<Self, Unknown> {
        let unknown = || Unknown { table: Registry::of::<Self>(), got: name.to_owned() };
        Self::ALL.iter().copied().find(|variant| variant.name() == name).ok_or_else(unknown)
    }
}

/// A table without the type of its variants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Registry {
    /// See [`Named::KEY`].
    pub key: &'static str,
    /// See [`Named::ABOUT`].
    pub about: &'static [About],
}

impl Registry {
    /// The table of one choice.
    pub const fn of<T: Named>() -> Registry {
        Registry { key: T::KEY, about: T::ABOUT }
    }

    /// The argument in which callers pass the name.
    pub fn argument(&self) -> &'static str {
        self.key.rsplit_once('.').map_or(self.key, |(_, argument)| argument)
    }
}

/// A name that no variant has; `to_string()` gives the message for the caller.
#[derive(Clone, Debug, PartialEq)]
pub struct Unknown {
    table: Registry,
    got: String,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.table.about.iter().map(|about| about.name).collect();
        write!(
            f,
            "{}: expected one of {}; got '{}'",
            self.table.argument(),
            names.join(", "),
            self.got.escape_debug()
        )
    }
}

/// Declares a choice by name: an enum that implements [`Named`](crate::named::Named).
///
/// ```
/// steelyard_kernels::named! {
///     /// How a curve falls.
///     pub enum Fall: "curve.fall" {
///         /// In a straight line.
///         Straight = "straight",
///         /// Along a parabola.
///         Parabola = "parabola" { source: "Galilei 1638" },
///     }
/// }
/// use steelyard_kernels::named::Named;
/// assert_eq!(Fall::from_name("parabola"), Ok(Fall::Parabola));
/// assert_eq!(Fall::Straight.about().summary, "In a straight line.");
/// let message = Fall::from_name("up").unwrap_err().to_string();
/// assert_eq!(message, "fall: expected one of straight, parabola; got 'up'");
/// ```
#[macro_export]
macro_rules! named {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $Type:ident: $key:literal {
            $(
                $(#[doc = $doc:literal])+
                $Variant:ident = $name:literal $({ $($field:ident: $value:expr),+ $(,)? })?
            ),+ $(,)?
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $visibility enum $Type {
            $($(#[doc = $doc])+ $Variant),+
        }

        impl $crate::named::Named for $Type {
            const KEY: &'static str = $key;
            const ALL: &'static [Self] = &[$($Type::$Variant),+];
            const ABOUT: &'static [$crate::named::About] = &[$(
                #[allow(clippy::needless_update)]
                $crate::named::About {
                    name: $name,
                    summary: concat!($($doc),+).trim_ascii(),
                    $($($field: $value,)+)?
                    ..$crate::named::About::EMPTY
                }
            ),+];

            fn about(self) -> &'static $crate::named::About {
                &Self::ABOUT[self as usize]
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use crate::registries::REGISTRIES;

    #[test]
    fn names_are_unique_and_rows_are_complete() {
        for table in REGISTRIES {
            for (i, about) in table.about.iter().enumerate() {
                let place = format!("{} {}", table.key, about.name);
                assert!(!about.name.is_empty() && about.summary.ends_with('.'), "{place}");
                assert!(
                    table.about[..i].iter().all(|other| other.name != about.name),
                    "{place} stands twice"
                );
                for parameter in about.parameters {
                    let inside = parameter.default.is_none_or(|default| parameter.allows(default));
                    assert!(inside, "{place} {}", parameter.name);
                }
            }
        }
        let keys: std::collections::HashSet<_> = REGISTRIES.iter().map(|table| table.key).collect();
        assert_eq!(keys.len(), REGISTRIES.len());
    }
}
