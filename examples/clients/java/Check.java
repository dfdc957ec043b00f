import io.grpc.*;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.MetadataUtils;
import io.netty.channel.epoll.*;
import io.netty.channel.unix.DomainSocketAddress;
import java.io.File;
import java.util.*;
import java.util.concurrent.TimeUnit;
import rolecall.v1.Check.CheckRequest;
import rolecall.v1.CheckServiceGrpc;

/** Asks Rolecall whether a user may do something: Check ORG USER PERMISSION. */
public class Check {
    static final Map<String, ?> RETRY = Map.of("methodConfig", List.of(Map.of(
            "name", List.of(Map.of("service", "rolecall.v1.CheckService")),
            "retryPolicy", Map.of("maxAttempts", 4.0, "initialBackoff", "0.05s", "maxBackoff", "0.5s",
                    "backoffMultiplier", 2.0, "retryableStatusCodes", List.of("UNAVAILABLE")))));

    public static void main(String[] args) throws Exception {
        String server = System.getenv("ROLECALL_SERVER"); // unix:PATH or HOST:PORT
        NettyChannelBuilder builder = server.startsWith("unix:")
                ? NettyChannelBuilder.forAddress(new DomainSocketAddress(server.substring("unix:".length())))
                        .eventLoopGroup(new EpollEventLoopGroup(1)).channelType(EpollDomainSocketChannel.class)
                        .usePlaintext().overrideAuthority("localhost") // A path is no valid name of a host.
                : NettyChannelBuilder.forTarget(server, TlsChannelCredentials.newBuilder()
                        .trustManager(new File(System.getenv("ROLECALL_CA"))).build());
        ManagedChannel channel = builder.defaultServiceConfig(RETRY).enableRetry().build();
        long deadline = Long.parseLong(System.getenv().getOrDefault("ROLECALL_DEADLINE", "2")); // in seconds
        Metadata key = new Metadata();
        key.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + System.getenv("ROLECALL_KEY"));
        try {
            CheckRequest request = CheckRequest.newBuilder().setOrgId(args[0]).setUserId(args[1]).setPermission(args[2]).build();
            System.out.println(CheckServiceGrpc.newBlockingStub(channel)
                    .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(key))
                    .withDeadlineAfter(deadline, TimeUnit.SECONDS).check(request).getDecision());
        } catch (StatusRuntimeException error) {
            System.err.println(error.getStatus());
            System.exit(1);
        }
        System.exit(0);
    }
}
