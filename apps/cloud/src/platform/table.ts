import type { ColumnType } from 'kysely';

/**
 * The columns of a table as a value, from which the row types follow.
 *
 * Types alone would drift from the migrations; a value can be compared with the database, and a test does.
 */
export type Column<Read, Insert = Read, Update = Read> = {
  /** The type as `information_schema.columns.udt_name` has it. */
  readonly sqlType: string;
  readonly nullable: boolean;
  /** Never set; carries the types. */
  readonly types?: ColumnType<Read, Insert, Update>;
};

/** The columns of one table. */
export type Columns = Readonly<Record<string, Column<unknown, unknown, unknown>>>;

type TypeOf<C> = C extends Column<infer Read, infer Insert, infer Update> ? ColumnType<Read, Insert, Update> : never;

/** The row types of some tables, as Kysely wants them. */
export type Rows<Tables extends Readonly<Record<string, Columns>>> = {
  [T in keyof Tables]: { [C in keyof Tables[T]]: TypeOf<Tables[T][C]> };
};

const plain = <T>(sqlType: string): Column<T> => ({ sqlType, nullable: false });

/** A UUID as text. */
export const uuid = plain<string>('uuid');
/** Text of any length. */
export const text = plain<string>('text');
/** A truth value. */
export const bool = plain<boolean>('bool');
/** A whole number of 32 bits. */
export const integer = plain<number>('int4');
/** A whole number of 16 bits. */
export const smallint = plain<number>('int2');
/** A whole number of 64 bits; one beyond 2^53 is an error, never rounded. */
export const bigint = plain<number>('int8');
/** An instant. */
export const instant = plain<Date>('timestamptz');
/** Bytes. */
export const bytea: Column<Buffer, Uint8Array, Uint8Array> = { sqlType: 'bytea', nullable: false };
/** A list of UUIDs. */
export const uuids = plain<string[]>('_uuid');
/** A list of texts. */
export const texts = plain<string[]>('_text');
/** A list of byte strings. */
export const byteas: Column<Buffer[], Uint8Array[], Uint8Array[]> = { sqlType: '_bytea', nullable: false };

/** A JSON document; written as text, since the driver would take an array for an SQL array. */
export const json = <T>(): Column<T, string, string> => ({ sqlType: 'jsonb', nullable: false });

/** A column that may be null. */
export const nullable = <R, I, U>(column: Column<R, I, U>): Column<R | null, I | null | undefined, U | null> => ({
  sqlType: column.sqlType,
  nullable: true,
});

/** A column the database fills when it is left out. */
export const defaulted = <R, I, U>(column: Column<R, I, U>): Column<R, I | undefined, U> => ({
  sqlType: column.sqlType,
  nullable: column.nullable,
});

/** A column only the database fills. */
export const generated = <R>(column: Column<R>): Column<R, never, never> => ({
  sqlType: column.sqlType,
  nullable: column.nullable,
});
