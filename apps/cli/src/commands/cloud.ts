import type { Command } from 'commander';
import { registerDoctor } from './cloud-doctor.ts';
import { registerEnrollmentToken } from './cloud-enrollment-token.ts';
import { registerKeys } from './cloud-keys.ts';
import { registerMigrate } from './cloud-migrate.ts';
import { registerPerson } from './cloud-person.ts';
import { registerStart } from './cloud-start.ts';
import { registerTenantCreate } from './cloud-tenant-create.ts';
import { registerTrustCa } from './cloud-trust-ca.ts';
import { registerWitnesses } from './cloud-witnesses.ts';

/** `holdfast cloud ...`: what an operator of a server does. */
export function registerCloud(program: Command): void {
  const cloud = program.command('cloud').description('run and look after a server').helpCommand(false);
  registerStart(cloud);
  registerMigrate(cloud);
  registerDoctor(cloud);
  registerTenantCreate(cloud);
  registerEnrollmentToken(cloud);
  registerPerson(cloud);
  registerTrustCa(cloud);
  registerWitnesses(cloud);
  registerKeys(cloud);
}
