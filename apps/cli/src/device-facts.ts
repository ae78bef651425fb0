import os from 'node:os';
import packageFacts from '../package.json' with { type: 'json' };
import { proxyEnvironment } from './config.ts';

/** What this computer says of itself to a server, and by which proxy. */
export function deviceFacts() {
  return {
    hostname: os.hostname().slice(0, 200) || 'unknown',
    os: `${os.type()} ${os.release()}`.slice(0, 200),
    agentVersion: packageFacts.version,
    proxyEnv: proxyEnvironment(),
  };
}
