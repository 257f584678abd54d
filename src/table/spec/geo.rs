//! Geo commands: rows of the command table (see [`super`] for what a row says).

use crate::table::spec::bits::{ACCESS, CAT_GEO, DENY_OOM, OW, READONLY, RO, RW, UPDATE, WRITE};
use crate::table::spec::{
    Arg, Categories, CommandSpec, DocFlag, Flags, Group, KeySpec, SpecialKeys,
};

const UNIT: Arg = Arg::one_of(
    "unit",
    &[
        Arg::word("m", "m"),
        Arg::word("km", "km"),
        Arg::word("ft", "ft"),
        Arg::word("mi", "mi"),
    ],
);
const WITH_COORD: Arg = Arg::word("withcoord", "WITHCOORD").optional();
const WITH_DIST: Arg = Arg::word("withdist", "WITHDIST").optional();
const WITH_HASH: Arg = Arg::word("withhash", "WITHHASH").optional();
const COUNT: Arg = Arg::block(
    "count-block",
    &[
        Arg::integer("count").after("COUNT"),
        Arg::word("any", "ANY").optional(),
    ],
)
.optional();
/// Where ANY came later than the command.
const COUNT_SINCE: Arg = Arg::block(
    "count-block",
    &[
        Arg::integer("count").after("COUNT"),
        Arg::word("any", "ANY").since("6.2.0").optional(),
    ],
)
.optional();
const ORDER: Arg = Arg::one_of(
    "order",
    &[Arg::word("asc", "ASC"), Arg::word("desc", "DESC")],
)
.optional();
const STORE: Arg = Arg::one_of(
    "store",
    &[
        Arg::key("storekey", 1).shown_as("key").after("STORE"),
        Arg::key("storedistkey", 2)
            .shown_as("key")
            .after("STOREDIST"),
    ],
)
.optional();
const FROM: Arg = Arg::one_of(
    "from",
    &[
        Arg::string("member").after("FROMMEMBER"),
        Arg::block(
            "fromlonlat",
            &[Arg::double("longitude"), Arg::double("latitude")],
        )
        .after("FROMLONLAT"),
    ],
);
const BY: Arg = Arg::one_of(
    "by",
    &[
        Arg::block("circle", &[Arg::double("radius").after("BYRADIUS"), UNIT]),
        Arg::block(
            "box",
            &[
                Arg::double("width").after("BYBOX"),
                Arg::double("height"),
                UNIT,
            ],
        ),
    ],
);

const SEARCH: &str =
    "O(N+log(M)), N: members in the cells that cover the area, M: members of the set";
const ANY_SINCE: (&str, &str) = ("6.2.0", "`ANY`.");
const UPPER_SINCE: (&str, &str) = ("7.0.0", "Units may be in upper case.");

/// The rows.
pub(super) const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "geoadd",
        summary: "Adds members with their places to a sorted set, creating it if it is absent.",
        since: "3.2.0",
        complexity: "O(M*log(N)), M: members given, N: members of the set",
        history: &[("6.2.0", "`CH`, `NX` and `XX`.")],
        arity: -5,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_GEO),
        keys: &[KeySpec::at(1, RW | UPDATE)],
        member_arg: Some(4),
        arguments: &[
            Arg::key("key", 0),
            Arg::one_of("condition", &[Arg::word("nx", "NX"), Arg::word("xx", "XX")])
                .since("6.2.0")
                .optional(),
            Arg::word("change", "CH").since("6.2.0").optional(),
            Arg::block(
                "data",
                &[
                    Arg::double("longitude"),
                    Arg::double("latitude"),
                    Arg::string("member"),
                ],
            )
            .multiple(),
        ],
        ..CommandSpec::of(Group::Geo)
    },
    CommandSpec {
        name: "geodist",
        summary: "Gives the distance between two members.",
        since: "3.2.0",
        complexity: "O(1)",
        arity: -4,
        flags: Flags(READONLY),
        categories: Categories(CAT_GEO),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        member_arg: Some(2),
        arguments: &[
            Arg::key("key", 0),
            Arg::string("member1"),
            Arg::string("member2"),
            UNIT.optional(),
        ],
        ..CommandSpec::of(Group::Geo)
    },
    CommandSpec {
        name: "geohash",
        summary: "Gives the places of members as standard geohashes.",
        since: "3.2.0",
        complexity: "O(1) for each member",
        arity: -2,
        flags: Flags(READONLY),
        categories: Categories(CAT_GEO),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        member_arg: Some(2),
        arguments: &[
            Arg::key("key", 0),
            Arg::string("member").optional().multiple(),
        ],
        ..CommandSpec::of(Group::Geo)
    },
    CommandSpec {
        name: "geopos",
        summary: "Gives the longitudes and latitudes of members.",
        since: "3.2.0",
        complexity: "O(1) for each member",
        arity: -2,
        flags: Flags(READONLY),
        categories: Categories(CAT_GEO),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        member_arg: Some(2),
        arguments: &[
            Arg::key("key", 0),
            Arg::string("member").optional().multiple(),
        ],
        ..CommandSpec::of(Group::Geo)
    },
    CommandSpec {
        name: "georadius",
        summary: "Finds the members around a place, and may store them.",
        since: "3.2.0",
        complexity: SEARCH,
        doc_flag: DocFlag::Deprecated,
        deprecated_since: "6.2.0",
        replaced_by: "`GEOSEARCH` and `GEOSEARCHSTORE` with `BYRADIUS`",
        history: &[ANY_SINCE, UPPER_SINCE],
        arity: -6,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_GEO),
        keys: &[
            KeySpec::at(1, RO | ACCESS),
            KeySpec::after_word("STORE", 6, OW | UPDATE),
            KeySpec::after_word("STOREDIST", 6, OW | UPDATE),
        ],
        special_keys: SpecialKeys::GeoStore,
        arguments: &[
            Arg::key("key", 0),
            Arg::double("longitude"),
            Arg::double("latitude"),
            Arg::double("radius"),
            UNIT,
            WITH_COORD,
            WITH_DIST,
            WITH_HASH,
            COUNT_SINCE,
            ORDER,
            STORE,
        ],
        ..CommandSpec::of(Group::Geo)
    },
    CommandSpec {
        name: "georadius_ro",
        summary: "Finds the members around a place.",
        since: "3.2.10",
        complexity: SEARCH,
        doc_flag: DocFlag::Deprecated,
        deprecated_since: "6.2.0",
        replaced_by: "`GEOSEARCH` with `BYRADIUS`",
        history: &[ANY_SINCE],
        arity: -6,
        flags: Flags(READONLY),
        categories: Categories(CAT_GEO),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            Arg::double("longitude"),
            Arg::double("latitude"),
            Arg::double("radius"),
            UNIT,
            WITH_COORD,
            WITH_DIST,
            WITH_HASH,
            COUNT_SINCE,
            ORDER,
        ],
        ..CommandSpec::of(Group::Geo)
    },
    CommandSpec {
        name: "georadiusbymember",
        summary: "Finds the members around a member, and may store them.",
        since: "3.2.0",
        complexity: SEARCH,
        doc_flag: DocFlag::Deprecated,
        deprecated_since: "6.2.0",
        replaced_by: "`GEOSEARCH` and `GEOSEARCHSTORE` with `BYRADIUS` and `FROMMEMBER`",
        history: &[UPPER_SINCE],
        arity: -5,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_GEO),
        keys: &[
            KeySpec::at(1, RO | ACCESS),
            KeySpec::after_word("STORE", 5, OW | UPDATE),
            KeySpec::after_word("STOREDIST", 5, OW | UPDATE),
        ],
        special_keys: SpecialKeys::GeoStore,
        member_arg: Some(2),
        arguments: &[
            Arg::key("key", 0),
            Arg::string("member"),
            Arg::double("radius"),
            UNIT,
            WITH_COORD,
            WITH_DIST,
            WITH_HASH,
            COUNT,
            ORDER,
            STORE,
        ],
        ..CommandSpec::of(Group::Geo)
    },
    CommandSpec {
        name: "georadiusbymember_ro",
        summary: "Finds the members around a member.",
        since: "3.2.10",
        complexity: SEARCH,
        doc_flag: DocFlag::Deprecated,
        deprecated_since: "6.2.0",
        replaced_by: "`GEOSEARCH` with `BYRADIUS` and `FROMMEMBER`",
        arity: -5,
        flags: Flags(READONLY),
        categories: Categories(CAT_GEO),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        member_arg: Some(2),
        arguments: &[
            Arg::key("key", 0),
            Arg::string("member"),
            Arg::double("radius"),
            UNIT,
            WITH_COORD,
            WITH_DIST,
            WITH_HASH,
            COUNT,
            ORDER,
        ],
        ..CommandSpec::of(Group::Geo)
    },
    CommandSpec {
        name: "geosearch",
        summary: "Finds the members inside a circle or a box.",
        since: "6.2.0",
        complexity: SEARCH,
        history: &[UPPER_SINCE],
        arity: -7,
        flags: Flags(READONLY),
        categories: Categories(CAT_GEO),
        keys: &[KeySpec::at(1, RO | ACCESS)],
        arguments: &[
            Arg::key("key", 0),
            FROM,
            BY,
            ORDER,
            COUNT,
            WITH_COORD,
            WITH_DIST,
            WITH_HASH,
        ],
        ..CommandSpec::of(Group::Geo)
    },
    CommandSpec {
        name: "geosearchstore",
        summary: "Stores the members inside a circle or a box.",
        since: "6.2.0",
        complexity: SEARCH,
        history: &[UPPER_SINCE],
        arity: -8,
        flags: Flags(WRITE | DENY_OOM),
        categories: Categories(CAT_GEO),
        keys: &[KeySpec::at(1, OW | UPDATE), KeySpec::at(2, RO | ACCESS)],
        arguments: &[
            Arg::key("destination", 0),
            Arg::key("source", 1),
            FROM,
            BY,
            ORDER,
            COUNT,
            Arg::word("storedist", "STOREDIST").optional(),
        ],
        ..CommandSpec::of(Group::Geo)
    },
];
