import { type CodedError, defineErrors } from '@holdfast/base';

/** Failures of reading and writing an archive's bytes. `details` hold places and numbers, never names or contents. */
export const archiveErrors = defineErrors('archive', {
  corrupt: ['corrupt', 'Bytes of the archive do not follow its format'],
  unknown_field: ['corrupt', 'The archive uses something that must be understood and that this version does not know'],
  unknown_format: ['corrupt', 'The archive has a format or a draft of it that this version does not know'],
  unknown_feature: ['corrupt', 'Reading the archive needs a feature that this version does not have'],
  wrong_archive: ['corrupt', 'The record belongs to another archive'],
  key_missing: ['forbidden', 'No key at hand opens records of this epoch'],
  not_authentic: ['corrupt', 'A record does not open: it is damaged, or sealed with another key or in another place'],
  bad_signature: ['corrupt', 'A record is not signed by the writer it names'],
  record_missing: ['not_found', 'A record that the archive needs is not there'],
  no_archive: ['not_found', 'No valid header record was found'],
  no_keyring: ['corrupt', 'No keyring of the archive is valid and opens with this key'],
  no_head: ['corrupt', 'No commit of the archive is valid and linked down to its checkpoint'],
  too_large: ['invalid', 'A value is larger than the format allows'],
});

/** Bytes at `offset` of a structure are not what the format says. `what` names structure and fact. */
export function corrupt(what: string, offset?: number, cause?: unknown): CodedError {
  return archiveErrors.corrupt(offset === undefined ? { what } : { what, offset }, cause);
}
