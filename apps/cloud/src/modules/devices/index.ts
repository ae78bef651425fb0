/**
 * Devices: the computers that are protected.
 *
 * Owns table `devices`. Invariants: a device's tokens are bound to its key; two devices of a tenant never have one key.
 */
export { readDeviceState } from './device-state.ts';
export { findDevice, insertDevice, tables as deviceTables, updateDeviceState } from './store.ts';
