//! Which words of a schema hold schemas, which ones say nothing about instances, and what the rest is about.

/// What stands behind a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mcp::lean) enum Holds {
    /// One schema.
    One,
    /// A schema, or in older drafts a list of them.
    OneOrList,
    /// A list of schemas.
    List,
    /// Schemas by names that are no keywords.
    Map,
    /// As `Map`, or lists of names.
    MapOrNames,
    /// No schema: whatever stands there is not looked into.
    Data,
}

/// What stands behind a word of a schema.
pub(in crate::mcp::lean) fn holds(keyword: &str) -> Holds {
    match keyword {
        "additionalItems"
        | "additionalProperties"
        | "contains"
        | "contentSchema"
        | "else"
        | "if"
        | "not"
        | "propertyNames"
        | "then"
        | "unevaluatedItems"
        | "unevaluatedProperties" => Holds::One,
        "items" => Holds::OneOrList,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Holds::List,
        "$defs" | "definitions" | "dependentSchemas" | "patternProperties" | "properties" => Holds::Map,
        "dependencies" => Holds::MapOrNames,
        _ => Holds::Data,
    }
}

/// Words after which a schema is left alone as a whole: they give places names that others point at, or make
/// what a reference means depend on where it is read from.
pub(super) fn is_beyond_us(keyword: &str) -> bool {
    matches!(
        keyword,
        "$anchor" | "$dynamicAnchor" | "$dynamicRef" | "$recursiveAnchor" | "$recursiveRef" | "$vocabulary"
    )
}

/// Words that no draft checks instances against.
pub(super) fn is_annotation(keyword: &str) -> bool {
    matches!(
        keyword,
        "$comment"
            | "default"
            | "deprecated"
            | "description"
            | "example"
            | "examples"
            | "readOnly"
            | "title"
            | "writeOnly"
    )
}

/// Words that hold schemas for others to refer to.
pub(super) fn is_shelf(keyword: &str) -> bool {
    matches!(keyword, "$defs" | "definitions")
}

/// Types as bits, so that sets of them can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Types(u8);

impl Types {
    pub(super) const NONE: Self = Self(0);
    pub(super) const NULL: Self = Self(1);
    const STRING: Self = Self(2);
    /// An integer is a number too, so it is a part of that.
    const INTEGER: Self = Self(4);
    const NUMBER: Self = Self(12);
    const ARRAY: Self = Self(16);
    const OBJECT: Self = Self(32);
    const BOOLEAN: Self = Self(64);

    /// The instances of a named type.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::NULL,
            "string" => Self::STRING,
            "integer" => Self::INTEGER,
            "number" => Self::NUMBER,
            "array" => Self::ARRAY,
            "object" => Self::OBJECT,
            "boolean" => Self::BOOLEAN,
            _ => return None,
        })
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// The types of instances that a keyword says something about, all others passing it, where it depends on
/// nothing but its neighbours for the same type.
pub(super) fn types_of(keyword: &str) -> Option<Types> {
    Some(match keyword {
        "maxLength" | "minLength" | "pattern" => Types::STRING,
        "exclusiveMaximum" | "exclusiveMinimum" | "maximum" | "minimum" | "multipleOf" => Types::NUMBER,
        // Known formats are about strings; OpenAPI has some for numbers, which nobody checks.
        "format" => Types::STRING.and(Types::NUMBER),
        "items" | "maxItems" | "minItems" | "uniqueItems" => Types::ARRAY,
        "additionalProperties"
        | "maxProperties"
        | "minProperties"
        | "patternProperties"
        | "properties"
        | "propertyNames"
        | "required" => Types::OBJECT,
        _ => return None,
    })
}
