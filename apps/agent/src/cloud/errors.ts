import { defineErrors } from '@holdfast/base';

/** What can go wrong between an agent and its cloud, besides what the server itself declares. */
export const cloudErrors = defineErrors('cloud_link', {
  token_invalid: ['invalid', 'The enrolment token file is not one'],
  other_address: ['invalid', 'The enrolment token is for a server at another address'],
  ca_unreachable: ['unavailable', 'The certificate of the server could not be fetched'],
  ca_mismatch: ['unauthenticated', "The server's CA is not the one of the enrolment token; nothing was sent to it"],
  log_key_mismatch: ['unauthenticated', "The tenant's log key is not the one of the enrolment token"],
  escrow_keys_mismatch: ['unauthenticated', "The tenant's escrow keys are not those of the enrolment token"],
  already_enrolled: ['conflict', 'This computer is enrolled already'],
  not_enrolled: ['not_found', 'This computer is not enrolled'],
  state_damaged: ['corrupt', 'The file of the enrolment cannot be read'],
  state_exposed: ['forbidden', 'The file of the enrolment belongs to another user, or others can reach it'],
  enrolled_without_escrow: ['conflict', 'This computer was enrolled before its server had escrow keys'],
  receipt_invalid: ['corrupt', 'The server acknowledged with a receipt that does not hold'],
  reply_invalid: ['corrupt', 'The server answered with bytes that are not records'],
  reply_slow: ['unavailable', 'The answer of the server comes too slowly'],
  reply_cut: ['unavailable', 'The connection to the server broke off within an answer'],
  deauthorization_unproven: [
    'unauthenticated',
    'The server says that this device was deauthorised, but cannot prove it; the keys are kept',
  ],
  key_log_unseen: ['not_found', 'No head of the key log was checked yet'],
  session_ended: ['conflict', 'The session ended; a new one must be opened'],
});
