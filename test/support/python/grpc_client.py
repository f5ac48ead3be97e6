"""A client of the RPC listeners that shares no code with the program: grpcio, and stubs made from the .proto files.

    grpc_client.py PROTO_DIR TARGET calls
    grpc_client.py PROTO_DIR TARGET subscribe COLLECTION COUNT

Prints one JSON object a line.
"""

import importlib
import json
import sys
import tempfile

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_tools import protoc

SIDECAR = "peat/sidecar/v1/sidecar"


def make_stubs(proto_dir: str, out: str):
    """The modules of the service's messages and of its stub."""
    options = [f"-I{proto_dir}", f"--python_out={out}", f"--grpc_python_out={out}"]
    if protoc.main(["protoc", *options, f"{SIDECAR}.proto"]) != 0:
        raise SystemExit("protoc failed")
    sys.path.insert(0, out)
    module = SIDECAR.replace("/", ".")
    return importlib.import_module(f"{module}_pb2"), importlib.import_module(f"{module}_pb2_grpc")


def say(**values) -> None:
    print(json.dumps(values), flush=True)


def failure(call) -> dict:
    try:
        call()
    except grpc.RpcError as error:
        return {"code": error.code().name, "details": error.details()}
    return {"code": "OK", "details": ""}


def calls(channel, sidecar, stub) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    name = {"collection": "python", "doc_id": "a:b"}
    text = {"text": "ü" * 2000, "n": 2**53}
    stub.PutDocument(sidecar.PutDocumentRequest(**name, json_data=json.dumps(text)))
    found = stub.GetDocument(sidecar.GetDocumentRequest(**name), compression=grpc.Compression.Gzip)
    listed = stub.ListDocuments(sidecar.ListDocumentsRequest(collection="python"))
    track = sidecar.Track(id="t", latitude=1.5, category=sidecar.TRACK_CATEGORY_AIR, speed_mps=0.0)
    stub.PutTrack(sidecar.PutTrackRequest(track=track))
    tracks = stub.GetTracks(sidecar.GetTracksRequest()).tracks
    stub.DeleteDocument(sidecar.DeleteDocumentRequest(**name))
    gone = stub.GetDocument(sidecar.GetDocumentRequest(**name))
    say(
        same=json.loads(found.json_data) == text,
        ids=list(listed.doc_ids),
        track=[track in tracks, tracks[0].HasField("speed_mps"), tracks[0].HasField("cep_m")],
        gone=not gone.HasField("json_data"),
        refused=failure(lambda: stub.GetDocument(sidecar.GetDocumentRequest())),
        unknown=failure(lambda: channel.unary_unary("/peat.sidecar.v1.PeatSidecar/Nothing")(b"")),
        late=failure(lambda: next(stub.Subscribe(sidecar.SubscribeRequest(collections=["none"]), timeout=0.3))),
        health=health.Check(health_pb2.HealthCheckRequest()).status,
        watched=next(health.Watch(health_pb2.HealthCheckRequest(service=""))).status,
        no_service=failure(lambda: health.Check(health_pb2.HealthCheckRequest(service="x"))),
    )


def subscribe(sidecar, stub, collection: str, count: int) -> None:
    request = sidecar.SubscribeRequest(
        collections=[collection], resume=sidecar.ResumeOptions(live_only=True)
    )
    versions = {}
    received = gaps = 0
    for change in stub.Subscribe(request):
        mark = change.position.mark
        if mark == sidecar.STREAM_MARK_SNAPSHOT_END:
            say(live=True)
        elif mark == sidecar.STREAM_MARK_GAP:
            gaps += 1
        else:
            versions.setdefault(change.doc_id, []).append(json.loads(change.json_data)["version"])
            received += 1
            if received % 25 == 0:
                say(received=received)
            if received == count:
                break
    say(versions=versions, gaps=gaps)


def main() -> None:
    proto_dir, target, command, *rest = sys.argv[1:]
    with tempfile.TemporaryDirectory() as out, grpc.insecure_channel(target) as channel:
        sidecar, stubs = make_stubs(proto_dir, out)
        stub = stubs.PeatSidecarStub(channel)
        if command == "calls":
            calls(channel, sidecar, stub)
        else:
            subscribe(sidecar, stub, rest[0], int(rest[1]))


main()
