import { z } from 'zod';

/** A flag in a query string, in any case: clients written in Python send `True`. */
export const QueryFlag = z
  .string()
  .regex(/^(true|false)$/i, 'must be true or false')
  .transform((text) => text.toLowerCase() === 'true');

/** A whole number in a query string, from `min` to `max`. */
export const queryNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, 'must be a whole number')
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be from ${min} to ${max}`);

/** Pages counted from 1, of 100 items unless asked otherwise: the way users, orgs and devices are listed. */
export const pageFromOne = {
  page: queryNumber(1, 1_000_000).default(1),
  pageSize: queryNumber(1, 1_000).default(100),
};

/** An instant on the wire: RFC 3339 in UTC, with milliseconds. */
export const Instant = z.iso.datetime({ precision: 3 });

/** A name people read: 1 to 200 characters, no control characters. */
export const DisplayName = z
  .string()
  .min(1)
  .max(200)
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused
  .regex(/^[^\u0000-\u001f\u007f]*$/, 'must not contain control characters');
