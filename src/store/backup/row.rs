//! The bytes of rows. A column that may be NULL begins with a byte that says whether it has a value. Texts and bytes follow
//! their length. All numbers are little-endian.

use sea_orm::Value;

use super::tables::{Column, Kind};
use crate::store::StoreError;
use crate::store::ids::unreadable;
use crate::store::rows::Columns;

/// Appends the bytes of a row.
pub fn encode(columns: &[Column], mut row: Columns<'_>, out: &mut Vec<u8>) -> Result<(), StoreError> {
    for column in columns {
        match column.kind {
            Kind::Flag => put(column, row.next::<Option<bool>>()?.map(|flag| [u8::from(flag)]), out)?,
            Kind::Small => put(column, row.next::<Option<i16>>()?.map(i16::to_le_bytes), out)?,
            Kind::Number => put(column, row.next::<Option<i64>>()?.map(i64::to_le_bytes), out)?,
            Kind::Text => put_long(column, row.next::<Option<String>>()?.map(String::into_bytes), out)?,
            Kind::Bytes => put_long(column, row.next::<Option<Vec<u8>>>()?, out)?,
        }
    }
    Ok(())
}

fn put_long(column: &Column, bytes: Option<Vec<u8>>, out: &mut Vec<u8>) -> Result<(), StoreError> {
    let too_long = |_| unreadable("a value of more than 4 GiB");
    let length = bytes.as_ref().map(|bytes| u32::try_from(bytes.len())).transpose().map_err(too_long)?;
    put(column, length.map(u32::to_le_bytes), out)?;
    out.extend(bytes.into_iter().flatten());
    Ok(())
}

fn put<const N: usize>(column: &Column, value: Option<[u8; N]>, out: &mut Vec<u8>) -> Result<(), StoreError> {
    if column.optional {
        out.push(value.is_some().into());
    } else if value.is_none() {
        return Err(unreadable("a row without a value that every row has"));
    }
    out.extend(value.into_iter().flatten());
    Ok(())
}

/// Appends the values of the next row to `values`, and removes their bytes. `None` if they are not the bytes of a row.
pub fn decode(columns: &[Column], bytes: &mut &[u8], values: &mut Vec<Value>) -> Option<()> {
    for column in columns {
        let has_value = !column.optional || flag(bytes)?;
        values.push(match column.kind {
            Kind::Flag => Value::Bool(some(has_value, || flag(bytes))?),
            Kind::Small => Value::SmallInt(some(has_value, || take(bytes).map(i16::from_le_bytes))?),
            Kind::Number => Value::BigInt(some(has_value, || take(bytes).map(i64::from_le_bytes))?),
            Kind::Text => Value::String(some(has_value, || String::from_utf8(long(bytes)?.into()).ok())?),
            Kind::Bytes => Value::Bytes(some(has_value, || long(bytes).map(Vec::from))?),
        });
    }
    Some(())
}

/// Reads a value if there is one. The outer `None` means that its bytes are wrong.
fn some<T>(has_value: bool, read: impl FnOnce() -> Option<T>) -> Option<Option<T>> {
    if has_value { read().map(Some) } else { Some(None) }
}

fn flag(bytes: &mut &[u8]) -> Option<bool> {
    match take(bytes)? {
        [0] => Some(false),
        [1] => Some(true),
        _ => None,
    }
}

fn long<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_le_bytes(take(bytes)?);
    let (value, rest) = bytes.split_at_checked(length as usize)?;
    *bytes = rest;
    Some(value)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}
