import { type Command, InvalidArgumentError } from 'commander';
import { environmentFor, findHome, homeToStart } from '../config.ts';
import { createOutput } from '../output.ts';

type Options = { readonly name?: string; readonly admin: string; readonly json?: boolean };

/** `holdfast cloud tenant create`: a tenant with an administrator and an API client. */
export function registerTenantCreate(cloud: Command): void {
  const tenant = cloud.command('tenant').description('the organisations on this server').helpCommand(false);
  tenant
    .command('create <address>')
    .description('make a tenant; shows the credentials of its first administrator and API client, this once')
    .option('--name <text>', 'its name (its address)', parseName)
    .option('--admin <username>', 'user name of its first administrator', parseName, 'admin')
    .action(async (slug: string, options: Options) => {
      const { createTenant, operateCloud, readCloudConfig, silentLog } = await import('@holdfast/cloud');
      const config = readCloudConfig(environmentFor(findHome(process.cwd()) ?? homeToStart(process.cwd())));
      const made = await operateCloud(config, { log: silentLog }, async ({ bootstrap, server }) => {
        const wanted = { slug, name: options.name ?? slug, adminUsername: options.admin };
        return { ...(await createTenant(bootstrap, wanted)), url: server.publicUrl() };
      });
      createOutput(options.json ?? false).result(made, createdText(made));
    });
}

type Made = {
  readonly slug: string;
  readonly tenantUid: string;
  readonly url: string;
  readonly adminUsername: string;
  readonly adminPassword: string;
  readonly apiClientId: string;
  readonly apiClientSecret: string;
};

/** The API works now; pages to sign in on come with the console. */
function createdText(made: Made): string {
  return [
    `Tenant         ${made.slug} (${made.tenantUid})`,
    `API client     ${made.apiClientId}`,
    `               ${made.apiClientSecret}`,
    `Administrator  ${made.adminUsername} with ${made.adminPassword} (for the console, which is still to come)`,
    'None of these secrets can be shown again.',
    '',
    'A bearer of the API, for 15 minutes (ca.pem lies in HOLDFAST_HOME/tls, where the certificate is the local one):',
    `  curl --cacert ca.pem -u ${made.apiClientId} -d grant_type=client_credentials ${made.url}/v1/oauth`,
    `Computers enrol with a token: holdfast cloud enrollment-token --tenant ${made.slug} --out FILE`,
  ].join('\n');
}

function parseName(text: string): string {
  if (/^[^\s\p{C}](?:[^\p{C}]{0,198}[^\s\p{C}])?$/u.test(text)) return text;
  throw new InvalidArgumentError(
    'It must be 1 to 200 characters, none of them a control character, with no space around.',
  );
}
