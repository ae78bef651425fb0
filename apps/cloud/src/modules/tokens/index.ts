/**
 * Tokens: the keys that sign them, making and verifying them, and proofs that their sender holds a key.
 *
 * Owns tables `token_keys`, `shared_secrets`, `used_proofs`. Invariants: only the role api opens a signing key; a token
 * is for one audience; a proof or assertion is accepted once over all nodes, and is as fresh as the server's nonce in it.
 * Not guaranteed: that a token's principal may still act. `identity` asks that at every request.
 */
export {
  ASSERTION_NONCE_MS,
  PROOF_ALGORITHMS,
  PROOF_NONCE_MS,
  thumbprintOf,
  verifyAssertion,
  verifyProof,
  type AssertionExpectation,
  type ProofDeps,
  type ProofExpectation,
} from './dpop.ts';
export { createNonces, type Nonces } from './nonces.ts';
export { deleteExpiredProofs, deleteSpentKeys, tables as tokenTables, type PublicJwk } from './store.ts';
export { createSigningKeys, createTokenKeys, KEY_TIMES, type SigningKeys, type TokenKeys } from './token-keys.ts';
export { audienceOf, issueToken, TOKEN_SECONDS, verifyToken, type TokenClaims, type TokenSubject } from './tokens.ts';
