// Java's own HTTP client, which offers an upgrade to h2c with its requests.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

public class HttpClientChat {
  public static void main(String[] arguments) throws Exception {
    HttpClient client = HttpClient.newHttpClient();
    for (boolean stream : new boolean[] {false, true}) {
      String body = "{\"model\":\"" + arguments[1] + "\",\"max_tokens\":8,\"stream\":" + stream
          + ",\"messages\":[{\"role\":\"user\",\"content\":\"Say hello.\"}]}";
      HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0] + "/v1/chat/completions"))
          .header("Content-Type", "application/json").POST(HttpRequest.BodyPublishers.ofString(body)).build();
      HttpResponse<String> answer = client.send(request, HttpResponse.BodyHandlers.ofString());
      String expected = stream ? "data: [DONE]" : "\"content\":\"";
      if (answer.statusCode() != 200 || !answer.body().contains(expected))
        throw new IllegalStateException(answer.statusCode() + " " + answer.body());
    }
    System.out.println("answered");
  }
}
