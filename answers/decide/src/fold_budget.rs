//! LAW 7: folds the messages between a budget's home and those who spend it. The home counts every grant as
//! gone until its spender has settled it, so that granted and spent money together never exceed the total.

use event::{Record, RecordId, Subject};
use store::{Emissions, Error};

use crate::budget::{BUDGETS, BudgetEvent, grant_id, home};
use crate::finding::code;
use crate::fold::note;
use crate::money::Cents;
use crate::rows::{Account, BudgetTerms, Grant, Outstanding, Purse};
use crate::tables::Tables;

const FOLD: &str = "decide";

pub(crate) fn fold(
    tables: &mut Tables,
    record: &Record,
    event: BudgetEvent,
    out: &mut Emissions,
) -> Result<(), Error> {
    // Each message has one right subject. Any other would lie in one partition here and in another one under
    // another number of partitions.
    let addressee = match &event {
        BudgetEvent::Set { budget, .. } | BudgetEvent::Asked { budget, .. } => home(budget),
        BudgetEvent::Settled { account, .. } => home(budget_of(account)),
        BudgetEvent::Granted { spender, .. }
        | BudgetEvent::Refused { spender, .. }
        | BudgetEvent::Closed { spender, .. }
        | BudgetEvent::Booked { spender, .. } => *spender,
    };
    let mismatched =
        matches!(&event, BudgetEvent::Asked { budget, account, .. } if budget_of(account) != budget);
    if record.subject != addressee || mismatched {
        return note(tables, record, code::RECORD, "a budget message is under the wrong subject".to_owned());
    }
    match event {
        BudgetEvent::Set { budget, total, currency, period } => {
            tables.budgets.put(budget, BudgetTerms { total, currency, period });
            Ok(())
        }
        BudgetEvent::Asked { budget, account, spender, seq, wanted, until } => {
            let total = tables.budgets.get(&budget)?.map_or(Cents::ZERO, |terms| terms.total);
            let key = (account, spender);
            if tables.answered.get(&key)?.copied().unwrap_or_default() != seq {
                return Ok(());
            }
            tables.answered.put(key.clone(), seq + 1);
            let account = key.0;
            let answer = grant(tables, (account, spender, seq), budget, total, wanted, until)?;
            out.emit(record, FOLD, BUDGETS, spender, answer.to_payload());
            Ok(())
        }
        BudgetEvent::Settled { account, spender, grant, spent } => {
            let known =
                tables.outstanding.get(&grant)?.filter(|o| o.account == account && o.spender == spender);
            if let Some(amount) = known.map(|known| known.amount) {
                tables.outstanding.remove(&grant);
                tables.accounts.update(&account, |account: &mut Account| {
                    account.outstanding -= amount;
                    account.spent += spent;
                })?;
            }
            // Booked again where it had been booked: the spender keeps asking until it hears it.
            out.emit(
                record,
                FOLD,
                BUDGETS,
                spender,
                BudgetEvent::Booked { account, spender, grant }.to_payload(),
            );
            Ok(())
        }
        BudgetEvent::Granted { account, spender, seq, grant, amount, expires } => {
            purse(tables, account, spender, |purse| {
                if purse.next_seq == seq {
                    purse.next_seq += 1;
                    purse.refused = false;
                    purse.grants.push(Grant { grant, amount, expires, closed: false });
                }
            })
        }
        BudgetEvent::Refused { account, spender, seq, outstanding } => {
            purse(tables, account, spender, |purse| {
                if purse.next_seq == seq {
                    purse.next_seq += 1;
                    purse.refused = true;
                    purse.outstanding_elsewhere = outstanding;
                }
            })
        }
        BudgetEvent::Closed { account, spender, grant } => purse(tables, account, spender, |purse| {
            for mine in purse.grants.iter_mut().filter(|mine| mine.grant == grant) {
                mine.closed = true;
            }
        }),
        BudgetEvent::Booked { account, spender, grant } => {
            tables.used.0.remove(&grant);
            purse(tables, account, spender, |purse| purse.grants.retain(|mine| mine.grant != grant))
        }
    }
}

/// The answer to an ask, booked at the home before it leaves.
fn grant(
    tables: &mut Tables,
    (account, spender, seq): (String, Subject, u64),
    budget: String,
    total: Cents,
    wanted: Cents,
    until: event::Instant,
) -> Result<BudgetEvent, Error> {
    let standing = tables.accounts.get(&account)?.cloned().unwrap_or_default();
    let left = total - standing.outstanding - standing.spent;
    let amount = wanted.min(left);
    if !amount.is_positive() {
        return Ok(BudgetEvent::Refused { account, spender, seq, outstanding: standing.outstanding });
    }
    let grant: RecordId = grant_id(&account, spender, seq);
    tables.accounts.update(&account, |account: &mut Account| {
        account.budget = budget;
        account.outstanding += amount;
    })?;
    tables.outstanding.put(grant, Outstanding { account: account.clone(), spender, amount });
    Ok(BudgetEvent::Granted { account, spender, seq, grant, amount, expires: until })
}

fn purse(
    tables: &mut Tables,
    account: String,
    spender: Subject,
    change: impl FnOnce(&mut Purse),
) -> Result<(), Error> {
    tables.purses.update(&(account, spender), change)
}

/// The budget of an account's name.
pub(crate) fn budget_of(account: &str) -> &str {
    account.rsplit_once('@').map_or(account, |(budget, _)| budget)
}
