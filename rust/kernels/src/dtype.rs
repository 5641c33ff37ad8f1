//! The element types of arrays, as one list.
//!
//! From the list follow [`Dtype`], an element type that is known only at run time; [`Typed`], an enum with one variant
//! per element type (of slices, of mutable slices, of tables); and [`with_dtype!`](crate::with_dtype!), which runs
//! generic code on the variant at hand. Since a variant and the Rust type inside it come from the same row, no array
//! can be read or written as a type other than its own, and no element type can be forgotten silently.
//!
//! To add an element type, add a row here, implement `Element` for it, and add what the compiler then asks for
//! (`docs/recipes/add-an-element-type.md`). A type whose elements share a scale, such as blocks of 8-bit floats, would
//! be a row whose Rust type is the whole block.

use crate::simd::{Element, Real};
use std::marker::PhantomData;

/// The list: runs the macro `$then` on `$arguments` and every row, `Variant: Rust type`.
#[doc(hidden)]
#[macro_export]
macro_rules! element_types {
    ([$($then:tt)+] $arguments:tt) => {
        $($then)+! {
            $arguments
            // The types in which arithmetic is done; they implement `Real`.
            real { F32: f32, F64: f64 }
            // The types that are only stored; their values are widened to one of the others before any arithmetic.
            stored { Bf16: $crate::simd::Bf16, F16: $crate::simd::F16 }
        }
    };
}

/// A family of Rust types, one per element type: the slices `&[T]`, say.
pub trait PerType {
    /// The member of the family for the element type `T`.
    type Of<T: Element>;
}

/// The family of slices that are only read, `&[T]`.
pub struct Shared<'a>(PhantomData<&'a ()>);

impl<'a> PerType for Shared<'a> {
    type Of<T: Element> = &'a [T];
}

/// The family of slices that are written, `&mut [T]`.
pub struct Exclusive<'a>(PhantomData<&'a ()>);

impl<'a> PerType for Exclusive<'a> {
    type Of<T: Element> = &'a mut [T];
}

/// An array of any element type, for reading.
pub type TypedSlice<'a> = Typed<Shared<'a>>;

/// An array of any element type, for writing.
pub type TypedSliceMut<'a> = Typed<Exclusive<'a>>;

impl Clone for TypedSlice<'_> {
    fn clone(&self) -> Self {
        *self
    }
}

impl Copy for TypedSlice<'_> {}

/// A set of element types known at run time: all of them ([`Dtype`]), or those in which arithmetic is done
/// ([`RealDtype`]).
pub trait Dtypes: Copy + PartialEq + Send + Sync + Into<Dtype> + TryFrom<Dtype> + 'static {
    /// Every element type of the set.
    const ALL: &'static [Self];

    /// Their names, for a message: `float32 or float64`.
    fn names() -> String {
        let names: Vec<_> = Self::ALL.iter().map(|&dtype| dtype.into().name()).collect();
        match names.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => names.join(""),
        }
    }
}

macro_rules! define {
    (() real { $($real:ident: $r:ty),* } stored { $($stored:ident: $s:ty),* }) => {
        /// The element type of an array.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Dtype {
            $(#[doc = stringify!($r)] $real,)*
            $(#[doc = stringify!($s)] $stored,)*
        }

        /// An element type in which arithmetic is done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum RealDtype {
            $(#[doc = stringify!($r)] $real,)*
        }

        impl Dtypes for Dtype {
            const ALL: &'static [Self] = &[$(Dtype::$real,)* $(Dtype::$stored,)*];
        }

        impl Dtypes for RealDtype {
            const ALL: &'static [Self] = &[$(RealDtype::$real,)*];
        }

        impl From<RealDtype> for Dtype {
            fn from(dtype: RealDtype) -> Self {
                match dtype {
                    $(RealDtype::$real => Dtype::$real,)*
                }
            }
        }

        impl TryFrom<Dtype> for RealDtype {
            type Error = Dtype;
            fn try_from(dtype: Dtype) -> Result<Self, Dtype> {
                match dtype {
                    $(Dtype::$real => Ok(RealDtype::$real),)*
                    $(Dtype::$stored)|* => Err(dtype),
                }
            }
        }

        /// One variant per element type, which holds the member of the family `P` for that type.
        pub enum Typed<P: PerType> {
            $(#[doc = stringify!($r)] $real(P::Of<$r>),)*
            $(#[doc = stringify!($s)] $stored(P::Of<$s>),)*
        }

        /// One variant per element type in which arithmetic is done.
        pub enum TypedReal<P: PerType> {
            $(#[doc = stringify!($r)] $real(P::Of<$r>),)*
        }

        $(listed!($real: $r);)*
        $(listed!($stored: $s);)*
        $(impl ListedReal for $r {
            fn typed_real<P: PerType>(value: P::Of<Self>) -> TypedReal<P> {
                TypedReal::$real(value)
            }
        })*
    };
}

macro_rules! listed {
    ($variant:ident: $t:ty) => {
        impl Listed for $t {
            const DTYPE: Dtype = Dtype::$variant;
            fn typed<P: PerType>(value: P::Of<Self>) -> Typed<P> {
                Typed::$variant(value)
            }
            #[inline(always)]
            fn own<P: PerType>(typed: Typed<P>) -> Result<P::Of<Self>, Typed<P>> {
                match typed {
                    Typed::$variant(value) => Ok(value),
                    other => Err(other),
                }
            }
        }
    };
}

/// An element type that has a row in the list.
pub trait Listed: Element {
    /// Its variant of [`Dtype`].
    const DTYPE: Dtype;
    /// Wraps the member of the family `P` for this type in its variant of [`Typed`].
    fn typed<P: PerType>(value: P::Of<Self>) -> Typed<P>;
    /// The member of the family `P`, if it is the one for this type; otherwise gives `typed` back.
    fn own<P: PerType>(typed: Typed<P>) -> Result<P::Of<Self>, Typed<P>>;
}

/// [`Listed`] for a type in which arithmetic is done.
pub trait ListedReal: Listed + Real {
    /// Wraps the member of the family `P` for this type in its variant of [`TypedReal`].
    fn typed_real<P: PerType>(value: P::Of<Self>) -> TypedReal<P>;
}

crate::element_types!([define]());

/// Runs generic code on a value whose element type is known only at run time: a `match` with one arm per row of the
/// list.
///
/// `with_dtype!(typed, x => ..)` binds `x` to what the [`Typed`](crate::dtype::Typed) holds, `with_dtype!(typed, x: T
/// => ..)` also names its element type `T`, and `with_dtype!(dtype, type T => ..)` names the element type of a
/// [`Dtype`](crate::dtype::Dtype).
#[macro_export]
macro_rules! with_dtype {
    ($dtype:expr, type $t:ident => $body:expr) => {
        $crate::element_types!([$crate::match_dtype] (Dtype $dtype, $t, $body))
    };
    ($typed:expr, $x:ident $(: $t:ident)? => $body:expr) => {
        $crate::element_types!([$crate::match_typed] (Typed $typed, $x, [$($t)?], $body))
    };
}

/// [`with_dtype!`](crate::with_dtype!) for a [`RealDtype`](crate::dtype::RealDtype) or a
/// [`TypedReal`](crate::dtype::TypedReal).
#[macro_export]
macro_rules! with_real {
    ($dtype:expr, type $t:ident => $body:expr) => {
        $crate::element_types!([$crate::match_dtype] (RealDtype $dtype, $t, $body))
    };
    ($typed:expr, $x:ident $(: $t:ident)? => $body:expr) => {
        $crate::element_types!([$crate::match_typed] (TypedReal $typed, $x, [$($t)?], $body))
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! match_dtype {
    ((Dtype $dtype:expr, $t:ident, $body:expr)
        real { $($real:ident: $r:ty),* } stored { $($stored:ident: $s:ty),* }) => {
        match $dtype {
            $($crate::dtype::Dtype::$real => { type $t = $r; $body })*
            $($crate::dtype::Dtype::$stored => { type $t = $s; $body })*
        }
    };
    ((RealDtype $dtype:expr, $t:ident, $body:expr) real { $($real:ident: $r:ty),* } $_stored:ident $_rows:tt) => {
        match $dtype {
            $($crate::dtype::RealDtype::$real => { type $t = $r; $body })*
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! match_typed {
    ((Typed $typed:expr, $x:ident, $t:tt, $body:expr)
        real { $($real:ident: $r:ty),* } stored { $($stored:ident: $s:ty),* }) => {
        match $typed {
            $($crate::dtype::Typed::$real($x) => $crate::with_alias!($t $r, $body),)*
            $($crate::dtype::Typed::$stored($x) => $crate::with_alias!($t $s, $body),)*
        }
    };
    ((TypedReal $typed:expr, $x:ident, $t:tt, $body:expr)
        real { $($real:ident: $r:ty),* } $_stored:ident $_rows:tt) => {
        match $typed {
            $($crate::dtype::TypedReal::$real($x) => $crate::with_alias!($t $r, $body),)*
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! with_alias {
    ([] $type:ty, $body:expr) => {
        $body
    };
    ([$t:ident] $type:ty, $body:expr) => {{
        type $t = $type;
        $body
    }};
}

impl Dtype {
    /// The name in messages: NumPy's name where NumPy has the type.
    pub fn name(self) -> &'static str {
        with_dtype!(self, type T => T::NAME)
    }

    /// The size of an element in bytes.
    pub fn size(self) -> usize {
        with_dtype!(self, type T => size_of::<T>())
    }
}

impl<P: PerType> Typed<P> {
    /// The element type.
    #[inline(always)]
    pub fn dtype(&self) -> Dtype {
        with_dtype!(self, _x: T => T::DTYPE)
    }
}

impl<'a> TypedSliceMut<'a> {
    /// The elements at the indices in `range`.
    #[inline(always)]
    pub fn part_mut(&mut self, range: std::ops::Range<usize>) -> TypedSliceMut<'_> {
        with_dtype!(self, x: T => T::typed(&mut x[range]))
    }

    /// The first `n` elements and the rest.
    #[must_use]
    pub fn split(self, n: usize) -> (TypedSliceMut<'a>, TypedSliceMut<'a>) {
        with_dtype!(self, x: T => {
            let (head, tail) = x.split_at_mut(n);
            (T::typed(head), T::typed(tail))
        })
    }
}

impl<'a> TypedSlice<'a> {
    /// How many elements.
    #[allow(clippy::len_without_is_empty)] // no caller needs it
    pub fn len(self) -> usize {
        with_dtype!(self, x => x.len())
    }

    /// The size of all elements in bytes.
    pub fn bytes(self) -> usize {
        with_dtype!(self, x => size_of_val(x))
    }

    /// The elements at the indices in `range`.
    #[must_use]
    pub fn part(self, range: std::ops::Range<usize>) -> TypedSlice<'a> {
        with_dtype!(self, x: T => T::typed(&x[range]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Bf16, F16};

    #[test]
    fn every_dtype_matches_its_row_of_the_list() {
        for &dtype in Dtype::ALL {
            with_dtype!(dtype, type T => {
                let elements: [T; 3] = [T::default(); 3];
                assert_eq!((T::DTYPE, T::NAME), (dtype, dtype.name()));
                let slice = <T as Listed>::typed::<Shared<'_>>(&elements);
                assert_eq!((slice.len(), slice.bytes()), (3, 3 * dtype.size()));
                assert!(with_dtype!(slice.part(1..3), x => x.len()) == 2);
                assert!(with_dtype!(slice, _x: Here => Here::DTYPE) == dtype);
            });
        }
        assert_eq!(Dtype::ALL.len(), 4);
        assert_eq!([f32::DTYPE, Bf16::DTYPE, F16::DTYPE], [Dtype::F32, Dtype::Bf16, Dtype::F16]);
    }

    #[test]
    fn the_real_dtypes_are_a_subset() {
        for &dtype in Dtype::ALL {
            match RealDtype::try_from(dtype) {
                Ok(real) => {
                    assert_eq!(Dtype::from(real), dtype);
                    with_real!(real, type T => assert_eq!(T::from_f64(1.0).to_f64(), 1.0));
                }
                Err(stored) => assert!(stored == dtype && matches!(dtype, Dtype::Bf16 | Dtype::F16)),
            }
        }
        assert_eq!(RealDtype::names(), "float32 or float64");
        assert_eq!(Dtype::names(), "float32, float64, bfloat16 or float16");
    }
}
