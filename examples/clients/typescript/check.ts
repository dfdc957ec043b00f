// Asks Rolecall whether a user may do something: check.js ORG USER PERMISSION.
import { readFileSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { ProtoGrpcType } from './generated/check';

const retry = { methodConfig: [{ name: [{ service: 'rolecall.v1.CheckService' }], retryPolicy: {
  maxAttempts: 4, initialBackoff: '0.05s', maxBackoff: '0.5s', backoffMultiplier: 2,
  retryableStatusCodes: ['UNAVAILABLE'] } }] };

const { ROLECALL_SERVER: server = '', ROLECALL_CA: ca = '', ROLECALL_KEY: key, ROLECALL_PROTO: proto = '' } = process.env;
const definition = loadSync('rolecall/v1/check.proto', { includeDirs: [proto], enums: String });
const { rolecall } = grpc.loadPackageDefinition(definition) as unknown as ProtoGrpcType;
const credentials = server.startsWith('unix:') // unix:PATH or HOST:PORT
  ? grpc.credentials.createInsecure()
  : grpc.credentials.createSsl(readFileSync(ca));
const client = new rolecall.v1.CheckService(server, credentials, { 'grpc.service_config': JSON.stringify(retry) });

const [orgId, userId, permission] = process.argv.slice(2);
const deadline = Date.now() + 1_000 * Number(process.env.ROLECALL_DEADLINE ?? 2);
const metadata = new grpc.Metadata();
metadata.set('authorization', `Bearer ${key}`);
client.Check({ orgId, userId, permission }, metadata, { deadline }, (error, answer) => {
  if (error) {
    console.error(`${grpc.status[error.code]}: ${error.details}`);
    process.exitCode = 1;
  } else {
    console.log(answer?.decision);
  }
  client.close();
});
