/**
 * Devices: the computers that are protected, and how they come in.
 *
 * Owns tables `devices`, `enrollment_tokens`. Invariants: a device's tokens are bound to its key; two devices of a tenant
 * never have one key; an invitation is kept as a hash and works as often and as long as it says.
 * Not guaranteed: that a deauthorised device has removed its keys. It does so at its next contact.
 */
export { mayDeviceRead, readDeviceState } from './device-state.ts';
export { addEnrollmentToken, type NewEnrollmentToken, type ServerFacts } from './enrollment-tokens.ts';
export { mountDevices } from './routes.ts';
export { findDevice, findDeviceByKey, insertDevice, tables as deviceTables, updateDeviceState } from './store.ts';
