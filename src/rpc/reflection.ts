// gRPC server reflection, v1 and v1alpha: the files of our services, found by name or by symbol.
import {
  create,
  type DescFile,
  type DescService,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import {
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "./gen/grpc/reflection/v1/reflection_pb.ts";
import {
  type ServerReflectionRequest as AlphaRequest,
  ServerReflectionRequestSchema as AlphaRequestSchema,
  type ServerReflectionResponse as AlphaResponse,
  ServerReflectionResponseSchema as AlphaResponseSchema,
} from "./gen/grpc/reflection/v1alpha/reflection_pb.ts";

type Answer = Exclude<
  MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"],
  undefined
>;

function failure(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}

function symbolsOf(file: DescFile): string[] {
  const symbols: string[] = [];
  for (const type of nestedTypes(file)) {
    symbols.push(type.typeName);
    if (type.kind === "service") {
      symbols.push(...type.methods.map((method) => `${type.typeName}.${method.name}`));
    }
    if (type.kind === "message") {
      symbols.push(...type.fields.map((field) => `${type.typeName}.${field.name}`));
    }
  }
  return symbols;
}

/** Shown at most so long of what a client asked for. */
const SHOWN_MAX = 200;

export class Reflection {
  readonly #names: readonly string[];
  readonly #byName = new Map<string, DescFile>();
  readonly #bySymbol = new Map<string, DescFile>();

  constructor(services: readonly DescService[]) {
    this.#names = services.map(({ typeName }) => typeName);
    for (const { file } of services) {
      this.#byName.set(`${file.name}.proto`, file);
      for (const symbol of symbolsOf(file)) this.#bySymbol.set(symbol, file);
    }
  }

  async *v1(
    requests: AsyncIterable<ServerReflectionRequest>,
  ): AsyncIterable<ServerReflectionResponse> {
    for await (const request of requests) yield this.#respond(request);
  }

  /** The same messages under other names. */
  async *v1alpha(requests: AsyncIterable<AlphaRequest>): AsyncIterable<AlphaResponse> {
    for await (const alpha of requests) {
      const bytes = toBinary(AlphaRequestSchema, alpha);
      const response = this.#respond(fromBinary(ServerReflectionRequestSchema, bytes));
      yield fromBinary(AlphaResponseSchema, toBinary(ServerReflectionResponseSchema, response));
    }
  }

  #respond(request: ServerReflectionRequest): ServerReflectionResponse {
    return create(ServerReflectionResponseSchema, {
      validHost: request.host,
      originalRequest: request,
      messageResponse: this.#answer(request.messageRequest),
    });
  }

  #answer(request: ServerReflectionRequest["messageRequest"]): Answer {
    switch (request.case) {
      case "listServices":
        return {
          case: "listServicesResponse",
          value: { service: this.#names.map((name) => ({ name })) },
        };
      case "fileByFilename":
        return this.#file(this.#byName.get(request.value), `file ${request.value}`);
      case "fileContainingSymbol":
        return this.#file(this.#bySymbol.get(request.value), `symbol ${request.value}`);
      case "fileContainingExtension":
        return failure(Code.NotFound, "no extensions are defined here");
      case "allExtensionNumbersOfType":
        return this.#bySymbol.has(request.value)
          ? {
              case: "allExtensionNumbersResponse",
              value: { baseTypeName: request.value, extensionNumber: [] },
            }
          : failure(Code.NotFound, `there is no type ${request.value.slice(0, SHOWN_MAX)}`);
      case undefined:
        return failure(Code.InvalidArgument, "message_request: nothing was asked for");
    }
  }

  /** None of our files imports another: one is all that a client needs. */
  #file(file: DescFile | undefined, asked: string): Answer {
    if (file === undefined)
      return failure(Code.NotFound, `there is no ${asked.slice(0, SHOWN_MAX)}`);
    const bytes = toBinary(FileDescriptorProtoSchema, file.proto);
    return { case: "fileDescriptorResponse", value: { fileDescriptorProto: [bytes] } };
  }
}
