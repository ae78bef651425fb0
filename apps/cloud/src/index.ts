/** The server as a library: what the command line and whole-server tests start. */
export { cloudErrors, type CloudEdges } from './assembly.ts';
export { migrateCloud, operateCloud, PRIVATE_SOCKET, startCloud, type Cloud, type Operator } from './app.ts';
export {
  bootstrapQuickstart,
  createTenant,
  quickstartTenant,
  type BootstrapDeps,
  type NewTenant,
} from './bootstrap.ts';
export { configErrors, readCloudConfig, redactConfig, type CloudConfig } from './config.ts';
export { examineCloud, type Finding } from './doctor.ts';
export { inviteDevices } from './invite.ts';
export { keystoreErrors } from './keystore/errors.ts';
export { endKeyOfPerson, listKeysOfPersons, registerPersonKey } from './person-keys.ts';
export { MASTER_KEY_FILE } from './open-kms.ts';
export { setPassphrase } from './set-passphrase.ts';
export { openSocketHost } from './platform/embedded-postgres.ts';
export { lockFile, type FileLock } from './platform/file-lock.ts';
export { createLog, logLevels, rotatingFile, silentLog, type Log, type LogLevel } from './platform/log.ts';
export { remoteErrors } from './platform/kms-remote.ts';
export { tokenErrors } from './platform/pkcs11-calls.ts';
export { readKeysStatus, rotateKeys, type KeysStatus, type Rotation } from './rotate-keys.ts';
export { SupervisedChild, type SupervisedOptions } from './platform/supervised-child.ts';
export { reportWitnesses, type WitnessedBy, type WitnessedLog } from './witness-report.ts';
export { runCloud, watchForStop, type StopReason, type StopWatch } from './run-cloud.ts';
