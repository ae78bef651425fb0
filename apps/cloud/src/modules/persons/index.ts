/**
 * Persons: whose keys may ask for the keys of archives, and approve that others do.
 *
 * Owns no table: the key log is what says it, and the keystore believes nothing else. Invariants: a key of a person is registered
 * by the operator of the server alone, who is past the api; each act is a leaf, in the transaction that records it.
 * Not guaranteed: that a key which is registered counts. It waits for a day, by the keystore's clock.
 */
export {
  askKeystoreRules,
  readKeystoreRules,
  type KeystoreRules,
  type ProposedRules,
  type RulesDeps,
} from './keystore-rules.ts';
export { learn, readKnowledge, type Knowledge } from './knowledge.ts';
export { addPersonKey, endPersonKey, listPersonKeys, personErrors, type PersonKey } from './person-keys.ts';
export { isInGoodStanding } from './standing.ts';
export { vouchForKey } from './vouch-for-key.ts';
