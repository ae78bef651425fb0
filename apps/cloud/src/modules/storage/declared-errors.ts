import { CodedError, type ErrorDetails } from '@holdfast/base';
import { storageErrors } from '@holdfast/contract';
import { saysNoRoom } from '../../platform/room.ts';

type Make = (details: ErrorDetails, cause: unknown) => CodedError;

/** What the log's own failures are called outside. */
const declared: Readonly<Record<string, Make>> = {
  'log.record_invalid': storageErrors.record_invalid,
  'log.ordinal_known': storageErrors.ordinal_known,
  'log.keyring_known': storageErrors.record_refused,
  'log.record_refused': storageErrors.record_refused,
  'log.fenced': storageErrors.session_superseded,
  'log.fragment_order': storageErrors.fragment_order,
  'log.fragment_differs': storageErrors.fragment_differs,
  'log.disk_full': storageErrors.full,
};

/** A failure of the log or of the disk below it as one of the contract's; anything else is left as it is. */
export function declaredError(error: unknown): unknown {
  if (error instanceof CodedError) {
    const make = declared[error.code];
    if (make) return make(error.details, error);
    if (error.code.startsWith('log.') && saysNoRoom(error)) return storageErrors.full({}, error);
    return error.code.startsWith('log.') || error.code.startsWith('archive.')
      ? storageErrors.unavailable({}, error)
      : error;
  }
  if (saysNoRoom(error)) return storageErrors.full({}, error);
  const isSystemCall = error instanceof Error && 'syscall' in error;
  return isSystemCall ? storageErrors.unavailable({}, error) : error;
}

/** Runs `work`; what it throws is declared. */
export async function declaring<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw declaredError(error);
  }
}
