//! What is to be computed over rows, without names and words.

use crate::calendar::Calendar;

/// One accumulation over the rows. Features that need the same share it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slot {
    pub(crate) op: Op,
    /// The column it takes values from; rows without a value there are left out.
    pub(crate) column: Option<usize>,
    /// The filter a row must pass.
    pub(crate) filter: Option<u32>,
    /// Length of the window in microseconds, at most; `None` is a lifetime.
    pub(crate) window: Option<i64>,
    /// The window begins with the calendar day, week, … of a place.
    pub(crate) calendar: Option<Calendar>,
}

/// What is accumulated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Op {
    Count,
    /// The exact sum, and the count for the mean.
    Sum,
    Min,
    Max,
    First,
    Last,
    /// The latest `occurred_at`.
    Latest,
    Distinct,
    /// Halved every so many microseconds.
    Decayed {
        half_life: i64,
    },
}

/// All accumulations of a view, and what its rows are kept for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) slots: Vec<Slot>,
    pub(crate) n_columns: usize,
    pub(crate) keep: Keep,
}

/// How long rows are kept, and how they are laid out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Keep {
    /// How far back of the latest `known_at` reads stay exact; `None`: for ever, nothing is given up.
    pub(crate) grace: Option<i64>,
    /// Rows of a full block.
    pub(crate) block_rows: u32,
    /// Blocks that are summed up together.
    pub(crate) group_blocks: usize,
}

impl Keep {
    /// What the online state keeps: one day for clocks that are set back.
    pub(crate) const ONLINE: Self = Self { grace: Some(86_400_000_000), block_rows: 128, group_blocks: 16 };
}

impl Slot {
    /// True where a row with these filters counts.
    #[inline]
    pub(crate) fn takes(&self, mask: u64) -> bool {
        self.filter.is_none_or(|bit| mask >> bit & 1 == 1)
    }

    /// What `occurred_at` must be greater than, to lie in the window that ends at `at`.
    pub(crate) fn lower(&self, at: i64) -> i64 {
        if let Some(start) = self.calendar.as_ref().and_then(|calendar| calendar.start(at)) {
            return start.saturating_sub(1);
        }
        self.window.map_or(i64::MIN, |window| at.saturating_sub(window))
    }
}

impl Plan {
    /// The longest window; 0 where there is none.
    pub(crate) fn longest(&self) -> i64 {
        self.slots.iter().filter_map(|slot| slot.window).max().unwrap_or_default()
    }

    /// True where a feature looks at all rows there ever were.
    pub(crate) fn has_lifetime(&self) -> bool {
        self.slots.iter().any(|slot| slot.window.is_none())
    }

    /// The same plan for rows that are never given up.
    pub(crate) fn keeping_all(&self) -> Self {
        Self { keep: Keep { grace: None, ..self.keep }, ..self.clone() }
    }
}
