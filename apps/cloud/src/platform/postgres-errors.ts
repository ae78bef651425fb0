import { CodedError } from '@holdfast/base';
import { requestErrors } from '@holdfast/contract';

const connectionLost = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'EPIPE', '57P01', '57P02', '57P03', '53300']);
const tooSlow = new Set(['57014', '55P03', '25P03', '25P04']);
const tryAgain = new Set(['40001', '40P01']);
const noRoom = new Set(['53100', 'ENOSPC', 'EDQUOT']);
const unstorable = new Set(['22P05', '22021']);

/** The SQLSTATE of a database error, or the system's error code; undefined for anything else. */
export function databaseCode(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** Whether running the whole transaction again can succeed: a deadlock or a serialisation failure. */
export function isTransactionConflict(error: unknown): boolean {
  return tryAgain.has(databaseCode(error) ?? '');
}

/** Turns what a database being away, slow or too busy throws into a declared failure; anything else stays as it is. */
export function translateDatabaseError(error: unknown): unknown {
  if (error instanceof CodedError) return error;
  const code = databaseCode(error) ?? '';
  if (connectionLost.has(code) || isPoolTimeout(error)) return requestErrors.overloaded({}, error);
  if (tooSlow.has(code) || tryAgain.has(code)) return requestErrors.interrupted({}, error);
  if (noRoom.has(code)) return requestErrors.no_room({}, error);
  if (unstorable.has(code)) return requestErrors.invalid_text({}, error);
  return error;
}

function isPoolTimeout(error: unknown): boolean {
  return (
    error instanceof Error && /^(timeout exceeded when trying to connect|Connection terminated)/.test(error.message)
  );
}
